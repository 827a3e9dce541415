"""An index's entries with their vectors, in files: `.parquet`, `.arrow` and `.jsonl` out and in, `.npy` in."""

import contextlib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import InputValueError
from ..wording import Wording
from .arrow import import_pyarrow, open_parquet, parsed_metadata, vector_column, vector_type
from .atomic import whole_file
from .texts import json_lines, open_input
from .vectors import json_vector, load_npy

# Appends entries: keys, texts, metadata as JSON or None, and vectors float32 [entries, dimension].
Write = Callable[[Sequence[int], Sequence[str], Sequence[str | None], NDArray[np.float32]], None]

# In a Parquet or Arrow file's own metadata: the artifact that the vectors are of.
_IDENTITY = b"simcse_engine.identity"
_BLOCK_ROWS = 4096


@dataclass(frozen=True, kw_only=True)
class Block:
    """Some entries of a file, with their vectors.

    Attributes:
        vectors: [n, dimension], as the file has them.
        texts: n of them.
        keys: n of them; None if the file has none.
        metadata: n of them; None if the file has none.
        identity: of the artifact that made the vectors, if the file states it.
    """

    vectors: NDArray[Any]
    texts: list[str]
    keys: list[int] | None = None
    metadata: list[dict[str, Any] | None] | None = None
    identity: str | None = None


def read_entries(
    source: Path, *, texts: Sequence[str] | None = None, keys: Iterable[int] | None = None
) -> Iterator[Block]:
    """Read entries with their vectors, a few thousand at a time; `Index.add_from` explains the files."""
    suffix = source.suffix.lower()
    readers = {".parquet": _arrow_blocks, ".arrow": _arrow_blocks, ".jsonl": _json_blocks}
    if suffix == ".npy":
        yield from _npy_blocks(source, texts, None if keys is None else list(keys))
        return
    if suffix not in readers:
        raise InputValueError(f"{source}: the name must end with {', '.join(readers)} or .npy")
    if texts is not None or keys is not None:
        raise InputValueError(f"{source}: has texts and keys of its own; texts and keys are for .npy")
    try:
        with open_input(source) as file:
            yield from readers[suffix](file, source)
    except OSError as error:
        raise InputValueError(f"{source}: cannot be read ({error.strerror or error})") from error


def _npy_blocks(source: Path, texts: Sequence[str] | None, keys: Sequence[int] | None) -> Iterator[Block]:
    if texts is None:
        raise InputValueError(f"{source}: an .npy file holds no texts; give ", Wording("texts=…", "--texts FILE"))
    vectors = load_npy(str(source))
    if vectors.ndim != 2 or len(vectors) != len(texts):
        raise InputValueError(f"{source}: of shape {list(vectors.shape)}; expected [{len(texts)}, dimension]")
    for start in range(0, len(texts), _BLOCK_ROWS):
        part = slice(start, start + _BLOCK_ROWS)
        part_keys = None if keys is None else list(keys[part])
        yield Block(vectors=np.asarray(vectors[part]), texts=list(texts[part]), keys=part_keys)


def _json_blocks(file: BinaryIO, source: Path) -> Iterator[Block]:
    lines, start = json_lines(file, str(source)), 1
    while part := list(itertools.islice(lines, _BLOCK_ROWS)):
        for place, row in part:
            if not isinstance(row, dict) or "text" not in row or "vector" not in row:
                raise InputValueError(f'{place}: expected an object with "text" and "vector"')
        yield _json_block([row for _, row in part], f"{source}, lines {start} to {start + len(part) - 1}")
        start += len(part)


def _json_block(rows: list[dict[str, Any]], place: str) -> Block:
    try:
        vectors = np.array([row["vector"] for row in rows], np.float32)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputValueError(f"{place}: the vectors are not all lists of numbers of one length") from error
    with_key = sum("key" in row for row in rows)
    if with_key not in (0, len(rows)):
        raise InputValueError(f'{place}: some have a "key" and some have none')
    identities = {row.get("identity") for row in rows if isinstance(row.get("identity"), str | None)}
    if len(identities) != 1:
        raise InputValueError(f"{place}: vectors of several artifacts, or of what is none")
    return Block(
        vectors=vectors,
        texts=[row["text"] for row in rows],
        keys=[row["key"] for row in rows] if with_key else None,
        metadata=[row.get("metadata") for row in rows],
        identity=identities.pop(),
    )


def _arrow_blocks(file: BinaryIO, source: Path) -> Iterator[Block]:
    arrow, _ = import_pyarrow(str(source))
    try:
        if source.suffix.lower() == ".parquet":
            table = open_parquet(file, str(source))
            schema, batches = table.schema_arrow, table.iter_batches(batch_size=_BLOCK_ROWS, use_threads=False)
        else:
            table = arrow.ipc.open_file(file)
            schema, batches = table.schema, map(table.get_batch, range(table.num_record_batches))
        if not {"text", "vector"} <= set(schema.names):
            raise InputValueError(f'{source}: expected columns "text" and "vector"; it has {schema.names}')
        identity = (schema.metadata or {}).get(_IDENTITY)
        for batch in batches:
            if batch.num_rows:
                yield _arrow_block(batch, source, None if identity is None else identity.decode())
    except arrow.ArrowException as error:
        raise InputValueError(f"{source}: not a readable file of its kind ({error})") from error


def _arrow_block(batch: Any, source: Path, identity: str | None) -> Block:
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    for name in ("text", "vector", "key"):
        if name in columns and columns[name].null_count:
            raise InputValueError(f'{source}: column "{name}" holds nulls')
    vector = columns["vector"]
    # Lists of a fixed size have no lengths of their own; what is no list has nothing to flatten.
    lengths = set(vector.value_lengths().to_pylist()) if hasattr(vector, "value_lengths") else {None}
    flat = vector.flatten().to_numpy(zero_copy_only=False) if hasattr(vector, "flatten") else np.empty(0, np.bool_)
    if len(lengths) > 1 or flat.size % batch.num_rows or flat.dtype.kind != "f":
        raise InputValueError(f'{source}: column "vector" is {vector.type}; expected lists of floats of one length')
    metadata = columns["metadata"].to_pylist() if "metadata" in columns else None
    return Block(
        vectors=flat.reshape(batch.num_rows, -1),
        texts=columns["text"].to_pylist(),
        keys=columns["key"].to_pylist() if "key" in columns else None,
        metadata=None if metadata is None else [parsed_metadata(value, str(source)) for value in metadata],
        identity=identity,
    )


@contextlib.contextmanager
def create_entries(target: Path, dimension: int, identity: str) -> Iterator[Write]:
    """Yield a function that appends entries to a file, which becomes ``target`` when the block ends."""
    suffix = target.suffix.lower()
    if suffix not in (".parquet", ".arrow", ".jsonl"):
        raise InputValueError(f"{target}: the name must end with .parquet, .arrow, .jsonl")
    if suffix == ".jsonl":
        with whole_file(target) as path, path.open("wb") as file:
            yield _json_writer(file, identity)
        return
    arrow, parquet = import_pyarrow(str(target))
    fields = [
        arrow.field("key", arrow.uint64(), nullable=False),
        arrow.field("text", arrow.string(), nullable=False),
        arrow.field("metadata", arrow.string()),
        arrow.field("vector", vector_type(dimension), nullable=False),
    ]
    schema = arrow.schema(fields, metadata={_IDENTITY: identity.encode()})
    open_table = parquet.ParquetWriter if suffix == ".parquet" else arrow.ipc.new_file
    with whole_file(target) as path, path.open("wb") as file, open_table(file, schema) as table:
        yield _table_writer(table, schema)


def _json_writer(file: BinaryIO, identity: str) -> Write:
    def write(
        keys: Sequence[int], texts: Sequence[str], metadata: Sequence[str | None], vectors: NDArray[np.float32]
    ) -> None:
        for key, text, document, vector in zip(keys, texts, metadata, vectors, strict=True):
            start = f'{{"key": {key}, "text": {json.dumps(text, ensure_ascii=False)}, "metadata": {document or "null"}'
            file.write(f'{start}, "vector": {json_vector(vector)}, "identity": "{identity}"}}\n'.encode())

    return write


def _table_writer(table: Any, schema: Any) -> Write:
    arrow, _ = import_pyarrow()

    def write(
        keys: Sequence[int], texts: Sequence[str], metadata: Sequence[str | None], vectors: NDArray[np.float32]
    ) -> None:
        columns = [
            arrow.array(column, kind) for column, kind in zip((keys, texts, metadata), schema.types, strict=False)
        ]
        table.write_table(arrow.table([*columns, vector_column(vectors)], schema=schema))

    return write
