"""Blocks: some entries of a file that an index is filled from, with their vectors if the file has them."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputValueError
from .columnar import Columnar, check_strings
from .columnar_rows import batch_rows
from .columns import VECTOR, KeyOf, NewEntry, check_column, entry_of
from .reading import Reading
from .tables import Row
from .vectors import load_npy

_IDENTITY, _DTYPE = "identity", "dtype"
# Vectors of 8 bits or of one are made for other stores, and have lost what an index would keep.
_FLOATS = "an index takes vectors of floats; encode the texts again without a dtype"
WHOLE = ("int8", "uint8", "binary", "ubinary")
# Vectors that are in memory at once; texts alone are smaller.
_BLOCK_ROWS = 4096
_BLOCK_TEXTS = 65_536


@dataclass(frozen=True, kw_only=True)
class Block:
    """Some entries of a file.

    Attributes:
        texts: n of them.
        keys: n of them; None if the file has none.
        metadata: n of them; None if the file has none.
        vectors: [n, dimension], as the file has them; None if it has none.
        identity: of the artifact that made the vectors, if the file states it.
        prompt: what was put before the texts when the vectors were made, if the file states it.
    """

    texts: list[str]
    keys: list[Any] | None = None
    metadata: list[dict[str, Any] | None] | None = None
    vectors: NDArray[Any] | None = None
    identity: str | None = None
    prompt: str | None = None

    @classmethod
    def of(cls, entries: Sequence[NewEntry], place: str, **others: Any) -> "Block":
        """A block of entries, of which all have a key or none."""
        with_key = sum(entry.key is not None for entry in entries)
        if with_key not in (0, len(entries)):
            raise mixed_keys(place)
        return cls(
            texts=[entry.text for entry in entries],
            keys=[entry.key for entry in entries if entry.key is not None] if with_key else None,
            metadata=[entry.metadata for entry in entries],
            **others,
        )


def mixed_keys(place: str) -> InputValueError:
    """The error of a file that gives only some entries a key."""
    return InputValueError(f'{place}: some have a "key" and some have none; give all of them one, or none')


def text_blocks(entries: Iterator[NewEntry], name: str) -> Iterator[Block]:
    """Blocks of entries without vectors."""
    while part := list(itertools.islice(entries, _BLOCK_TEXTS)):
        yield Block.of(part, name)


def npy_blocks(source: str, texts: Sequence[str]) -> Reading[Block]:
    """Blocks of an `.npy` file's vectors, with a text for each."""
    vectors = load_npy(source)
    if vectors.ndim != 2 or len(vectors) != len(texts):
        raise InputValueError(f"{source}: of shape {list(vectors.shape)}; expected [{len(texts)}, dimension]")
    if vectors.dtype in (np.int8, np.uint8):
        raise InputValueError(f"{source}: is {vectors.dtype}; {_FLOATS}")
    parts = (slice(start, start + _BLOCK_ROWS) for start in range(0, len(texts), _BLOCK_ROWS))
    blocks = (Block(vectors=np.asarray(vectors[part]), texts=list(texts[part])) for part in parts)
    return Reading.counted(blocks, len(texts), _size)


def json_blocks(rows: Iterator[Row], column: str, key_of: KeyOf) -> Iterator[Block]:
    """Blocks of JSON lines with a "vector"."""
    while part := list(itertools.islice(rows, _BLOCK_ROWS)):
        for place, row in part:
            if VECTOR not in row:
                raise InputValueError(f'{place}: expected an object with "{column}" and "{VECTOR}"')
            # A "dtype" beside floats is the user's own metadata.
            if row.get(_DTYPE) in WHOLE and _is_whole(row[VECTOR]):
                raise InputValueError(f"{place}: is {row[_DTYPE]}; {_FLOATS}")
        place = f"{part[0][0]} to {part[-1][0].rpartition(' ')[2]}"
        try:
            vectors = np.array([row[VECTOR] for _, row in part], np.float32)
        except (ValueError, TypeError, OverflowError) as error:
            raise InputValueError(f"{place}: the vectors are not all lists of numbers of one length") from error
        identities = {row.get(_IDENTITY) for _, row in part if isinstance(row.get(_IDENTITY), str | None)}
        if len(identities) != 1:
            raise InputValueError(f"{place}: vectors of several artifacts, or of what is none")
        entries = [entry_of(_without(row, VECTOR, _IDENTITY), column, place, key_of) for place, row in part]
        yield Block.of(entries, place, vectors=vectors, identity=identities.pop())


def columnar_blocks(table: Columnar, column: str, key_of: KeyOf) -> Reading[Block]:
    """Blocks of a Parquet or Arrow file with a column "vector"."""
    check_column(column, table.columns, table.name)
    check_strings(table, column)
    # Columns that metadata cannot hold are reported at once.
    others = [name for name in table.columns if name != VECTOR]
    batch_rows(table, others, ())
    return Reading.counted(_columnar_blocks(table, column, others, key_of), table.rows, _size)


def _columnar_blocks(table: Columnar, column: str, others: list[str], key_of: KeyOf) -> Iterator[Block]:
    start = 0
    for batch in table.batches([*table.columns], _BLOCK_ROWS):
        if not batch.num_rows:
            continue
        entries = [entry_of(row, column, place, key_of) for place, row in batch_rows(table, others, [batch], start)]
        start += batch.num_rows
        vectors = _flattened(batch.column(VECTOR), table.name)
        yield Block.of(entries, table.name, vectors=vectors, identity=table.identity, prompt=table.prompt)


def _flattened(vector: Any, name: str) -> NDArray[Any]:
    if vector.null_count:
        raise InputValueError(f'{name}: column "{VECTOR}" holds nulls')
    # Lists of a fixed size have no lengths of their own; what is no list has nothing to flatten.
    lengths = set(vector.value_lengths().to_pylist()) if hasattr(vector, "value_lengths") else {None}
    flat = vector.flatten().to_numpy(zero_copy_only=False) if hasattr(vector, "flatten") else np.empty(0, np.bool_)
    if flat.dtype.kind in "iu":
        raise InputValueError(f'{name}: column "{VECTOR}" is {vector.type}; {_FLOATS}')
    if len(lengths) > 1 or flat.size % len(vector) or flat.dtype.kind != "f":
        raise InputValueError(f'{name}: column "{VECTOR}" is {vector.type}; expected lists of floats of one length')
    return flat.reshape(len(vector), -1)


def _is_whole(vector: Any) -> bool:
    return isinstance(vector, list) and all(type(number) is int for number in vector)


def _without(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def _size(block: Block) -> int:
    return len(block.texts)
