"""An index's entries in files of other kinds: `.parquet`, `.arrow` and `.jsonl` out and in, `.npy` in."""

import contextlib
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import InputValueError
from .arrow import import_pyarrow, parsed_metadata
from .atomic import whole_file

# Appends a block: keys, texts, metadata as JSON or None, and vectors float32 [entries, dimension].
Write = Callable[[Sequence[int], Sequence[str], Sequence[str | None], NDArray[np.float32]], None]

# In a Parquet or Arrow file's own metadata: the artifact that the vectors are of.
_IDENTITY = b"simcse_engine.identity"
_BLOCK_ROWS = 4096


@dataclass(frozen=True, kw_only=True)
class Block:
    """Some entries of a file.

    Attributes:
        vectors: [n, dimension], as they are there.
        texts: n of them.
        keys: n of them; None if the file has none.
        metadata: n of them; None if the file has none.
        identity: of the artifact that the vectors are of, if the file says it.
    """

    vectors: NDArray[Any]
    texts: list[str]
    keys: list[int] | None = None
    metadata: list[dict[str, Any] | None] | None = None
    identity: str | None = None


@contextlib.contextmanager
def create_entries(target: Path, dimension: int, identity: str) -> Iterator[Write]:
    """Yield a function that appends entries to a file, which becomes ``target`` when the block ends.

    Raises:
        InputValueError: an unknown suffix, or pyarrow is missing.
        OutputError: the file cannot be written there.
    """
    suffix = target.suffix.lower()
    if suffix not in _WRITERS:
        raise InputValueError(f"{target}: the name must end with {', '.join(_WRITERS)}")
    if suffix != ".jsonl":
        import_pyarrow(str(target))
    with whole_file(target) as path, path.open("wb") as file, _WRITERS[suffix](file, dimension, identity) as write:
        yield write


@contextlib.contextmanager
def _write_jsonl(file: BinaryIO, _dimension: int, identity: str) -> Iterator[Write]:
    def write(
        keys: Sequence[int], texts: Sequence[str], metadata: Sequence[str | None], vectors: NDArray[np.float32]
    ) -> None:
        for key, text, given, vector in zip(keys, texts, metadata, vectors, strict=True):
            # Nine digits tell every float32 from its neighbours.
            numbers = ", ".join(["%.9g"] * len(vector)) % tuple(vector.tolist())
            start = f'{{"key": {key}, "text": {json.dumps(text, ensure_ascii=False)}, "metadata": {given or "null"}'
            file.write(f'{start}, "vector": [{numbers}], "identity": "{identity}"}}\n'.encode())

    yield write


def _arrow_writer(kind: str) -> Callable[[BinaryIO, int, str], AbstractContextManager[Write]]:
    @contextlib.contextmanager
    def writer(file: BinaryIO, dimension: int, identity: str) -> Iterator[Write]:
        arrow, parquet = import_pyarrow("this file")
        vector_type = arrow.list_(arrow.float32(), dimension)
        fields = [
            arrow.field("key", arrow.uint64(), nullable=False),
            arrow.field("text", arrow.string(), nullable=False),
            arrow.field("metadata", arrow.string()),
            arrow.field("vector", vector_type, nullable=False),
        ]
        schema = arrow.schema(fields, metadata={_IDENTITY: identity.encode()})

        def write(
            keys: Sequence[int], texts: Sequence[str], metadata: Sequence[str | None], vectors: NDArray[np.float32]
        ) -> None:
            flat = arrow.array(np.ascontiguousarray(vectors).reshape(-1))
            columns = [
                arrow.array(keys, arrow.uint64()),
                arrow.array(texts, arrow.string()),
                arrow.array(metadata, arrow.string()),
                arrow.FixedSizeListArray.from_arrays(flat, type=vector_type),
            ]
            output.write_table(arrow.table(columns, schema=schema))

        opened = parquet.ParquetWriter(file, schema) if kind == "parquet" else arrow.ipc.new_file(file, schema)
        with opened as output:
            yield write

    return writer


_WRITERS: dict[str, Callable[[BinaryIO, int, str], AbstractContextManager[Write]]] = {
    ".parquet": _arrow_writer("parquet"),
    ".arrow": _arrow_writer("arrow"),
    ".jsonl": _write_jsonl,
}


def read_entries(
    source: Path, *, texts: Sequence[str] | None = None, keys: Sequence[int] | None = None
) -> Iterator[Block]:
    """Read entries, a few thousand at a time.

    Args:
        source: `.parquet` or `.arrow` with columns ``text`` and ``vector``, and perhaps ``key`` and ``metadata``;
            `.jsonl` with the same names; `.npy` [n, dimension].
        texts: for `.npy`.
        keys: for `.npy`, one for each text.

    Raises:
        InputValueError: the file cannot be read, or lacks something.
    """
    suffix = source.suffix.lower()
    readers = {".parquet": _read_arrow, ".arrow": _read_arrow, ".jsonl": _read_jsonl}
    if suffix != ".npy" and suffix not in readers:
        raise InputValueError(f"{source}: the name must end with {', '.join(readers)} or .npy")
    if suffix != ".npy" and (texts is not None or keys is not None):
        raise InputValueError(f"{source}: has texts and keys of its own; texts and keys are for .npy")
    try:
        if suffix == ".npy":
            yield from _read_npy(source, texts, keys)
        else:
            yield from readers[suffix](source)
    except OSError as error:
        raise InputValueError(f"{source}: cannot be read ({error.strerror or error})") from error


def _read_npy(source: Path, texts: Sequence[str] | None, keys: Sequence[int] | None) -> Iterator[Block]:
    if texts is None:
        raise InputValueError(f"{source}: an .npy file holds no texts; give texts=…")
    try:
        vectors = np.load(source, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputValueError(f"{source}: is no .npy file of numbers ({error})") from error
    if not isinstance(vectors, np.ndarray):
        raise InputValueError(f"{source}: is an .npz archive; an .npy file is wanted")
    if vectors.ndim != 2 or len(vectors) != len(texts):
        raise InputValueError(f"{source}: of shape {list(vectors.shape)}; [{len(texts)}, dimension] is wanted")
    for start in range(0, len(texts), _BLOCK_ROWS):
        part = slice(start, start + _BLOCK_ROWS)
        yield Block(
            vectors=np.asarray(vectors[part]),
            texts=list(texts[part]),
            keys=None if keys is None else list(keys[part]),
        )


def _read_jsonl(source: Path) -> Iterator[Block]:
    with source.open("rb") as file:
        lines = enumerate(file, 1)
        while part := list(islice(lines, _BLOCK_ROWS)):
            rows = [_json_row(line, f"{source}, line {number}") for number, line in part]
            yield _block(rows, f"{source}, lines {part[0][0]} to {part[-1][0]}")


def _json_row(line: bytes, name: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputValueError(f"{name}: not JSON ({error})") from error
    if not isinstance(row, dict) or "text" not in row or "vector" not in row:
        raise InputValueError(f'{name}: an object with "text" and "vector" is wanted')
    return row


def _block(rows: list[dict[str, Any]], name: str) -> Block:
    try:
        vectors = np.array([row["vector"] for row in rows], np.float32)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputValueError(f"{name}: the vectors are not all lists of numbers of one length") from error
    if any("key" in row for row in rows) != all("key" in row for row in rows):
        raise InputValueError(f'{name}: some have a "key" and some have none')
    identities = {row.get("identity") for row in rows if isinstance(row.get("identity"), str | None)}
    if len(identities) != 1:
        raise InputValueError(f"{name}: vectors of several artifacts, or of what is none")
    return Block(
        vectors=vectors,
        texts=[row["text"] for row in rows],
        keys=[row["key"] for row in rows] if "key" in rows[0] else None,
        metadata=[row.get("metadata") for row in rows],
        identity=identities.pop(),
    )


def _read_arrow(source: Path) -> Iterator[Block]:
    arrow, parquet = import_pyarrow(str(source))
    try:
        with source.open("rb") as file:
            if source.suffix.lower() == ".parquet":
                opened = parquet.ParquetFile(file)
                schema, batches = opened.schema_arrow, opened.iter_batches(batch_size=_BLOCK_ROWS, use_threads=False)
            else:
                opened = arrow.ipc.open_file(file)
                schema = opened.schema
                batches = (opened.get_batch(i) for i in range(opened.num_record_batches))
            if not {"text", "vector"} <= set(schema.names):
                raise InputValueError(f'{source}: columns "text" and "vector" are wanted; it has {schema.names}')
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
        raise InputValueError(f'{source}: column "vector" is {vector.type}; lists of floats of one length are wanted')
    metadata = columns["metadata"].to_pylist() if "metadata" in columns else None
    return Block(
        vectors=flat.reshape(batch.num_rows, -1),
        texts=columns["text"].to_pylist(),
        keys=columns["key"].to_pylist() if "key" in columns else None,
        metadata=None if metadata is None else [parsed_metadata(given, str(source)) for given in metadata],
        identity=identity,
    )
