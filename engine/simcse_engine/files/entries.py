"""An index's entries with their vectors, written into files: `.parquet`, `.arrow` and `.jsonl`."""

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import InputValueError
from .arrow import IDENTITY, import_pyarrow, vector_column, vector_type
from .atomic import whole_file
from .columns import VECTOR
from .vectors import json_vector

# Appends entries: keys, texts, metadata as JSON or None, and vectors float32 [entries, dimension].
Write = Callable[[Sequence[int | str], Sequence[str], Sequence[str | None], NDArray[np.float32]], None]


@contextlib.contextmanager
def create_entries(target: Path, dimension: int, identity: str, key_type: str) -> Iterator[Write]:
    """Yield a function that appends entries to a file, which becomes ``target`` when the block ends.

    ``key_type`` is the keys' type by the name of pyarrow's function, "uint64" or "string".
    """
    suffix = target.suffix.lower()
    if suffix not in (".parquet", ".arrow", ".jsonl"):
        raise InputValueError(f"{target}: the name must end with .parquet, .arrow, .jsonl")
    if suffix == ".jsonl":
        with whole_file(target) as path, path.open("wb") as file:
            yield _json_writer(file, identity)
        return
    arrow, parquet = import_pyarrow(str(target))
    fields = [
        arrow.field("key", getattr(arrow, key_type)(), nullable=False),
        arrow.field("text", arrow.string(), nullable=False),
        arrow.field("metadata", arrow.string()),
        arrow.field(VECTOR, vector_type(dimension), nullable=False),
    ]
    schema = arrow.schema(fields, metadata={IDENTITY: identity.encode()})
    open_table = parquet.ParquetWriter if suffix == ".parquet" else arrow.ipc.new_file
    with whole_file(target) as path, path.open("wb") as file, open_table(file, schema) as table:
        yield _table_writer(table, schema)


def _json_writer(file: BinaryIO, identity: str) -> Write:
    def write(
        keys: Sequence[int | str], texts: Sequence[str], metadata: Sequence[str | None], vectors: NDArray[np.float32]
    ) -> None:
        for key, text, document, vector in zip(keys, texts, metadata, vectors, strict=True):
            start = f'{{"key": {_json(key)}, "text": {_json(text)}, "metadata": {document or "null"}'
            file.write(f'{start}, "vector": {json_vector(vector)}, "identity": "{identity}"}}\n'.encode())

    return write


def _json(value: int | str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _table_writer(table: Any, schema: Any) -> Write:
    arrow, _ = import_pyarrow()

    def write(
        keys: Sequence[int | str], texts: Sequence[str], metadata: Sequence[str | None], vectors: NDArray[np.float32]
    ) -> None:
        columns = [
            arrow.array(column, kind) for column, kind in zip((keys, texts, metadata), schema.types, strict=False)
        ]
        table.write_table(arrow.table([*columns, vector_column(vectors)], schema=schema))

    return write
