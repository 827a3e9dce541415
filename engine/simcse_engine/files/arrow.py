"""Parquet and Arrow files: the one file that imports pyarrow, which nothing else needs."""

import itertools
import json
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import InputTypeError, InputValueError

_BATCH_ROWS = 1024


def import_pyarrow(name: str = "this file") -> tuple[ModuleType, ModuleType]:
    """Import `pyarrow` and `pyarrow.parquet`; InputValueError, with the ``name`` of a file, if they are missing."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise InputValueError(
            f"{name}: Parquet files need pyarrow ({error}); pip install 'simcse-engine[arrow]'"
        ) from error
    return pyarrow, pyarrow.parquet


def open_parquet(file: BinaryIO, name: str) -> Any:
    """Open a `pyarrow.parquet.ParquetFile`; InputValueError, with ``name``, for a pipe or another kind of file."""
    arrow, parquet = import_pyarrow(name)
    if not file.seekable():
        raise InputValueError(f"{name}: a Parquet file's contents stand at its end, so it cannot be read from a pipe")
    try:
        return parquet.ParquetFile(file)
    except (arrow.ArrowException, OSError) as error:
        raise InputValueError(f"{name}: not a readable Parquet file ({error})") from error


def parquet_texts(file: BinaryIO, name: str) -> Iterator[str]:
    """Read the column "text" of a Parquet file; errors as for `parquet_rows`."""
    return (text for (text,) in parquet_rows(file, name))


def parquet_rows(file: BinaryIO, name: str, optional: Sequence[str] = ()) -> Iterator[tuple[Any, ...]]:
    """Read the column "text" of a Parquet file and ``optional`` ones, None where they are absent, row by row.

    Raises:
        InputValueError: at once as `open_parquet`, and for a file without such a column; later, with the row's number,
            for a null text or a row that cannot be read.
    """
    table = open_parquet(file, name)
    arrow, _ = import_pyarrow(name)
    columns = dict(zip(table.schema_arrow.names, table.schema_arrow.types, strict=True))
    if "text" not in columns:
        raise InputValueError(f'{name}: no column "text"; it has {", ".join(columns) or "no column"}')
    kind = columns["text"]
    kind = kind.value_type if arrow.types.is_dictionary(kind) else kind
    if not (arrow.types.is_string(kind) or arrow.types.is_large_string(kind)):
        raise InputValueError(f'{name}: column "text" holds {kind}; expected string')
    # A generator of its own, so that the errors above are raised before a model is loaded.
    return _rows(table, name, ["text", *optional], arrow.ArrowException)


def _rows(table: Any, name: str, columns: list[str], arrow_error: type[Exception]) -> Iterator[tuple[Any, ...]]:
    there = [column for column in columns if column in table.schema_arrow.names]
    row = 1
    try:
        for batch in table.iter_batches(batch_size=_BATCH_ROWS, columns=there, use_threads=False):
            values = [batch.column(column) if column in there else itertools.repeat(None) for column in columns]
            # Not strict, as None is repeated without end.
            for cells in zip(*values, strict=False):
                text, *others = (None if cell is None else cell.as_py() for cell in cells)
                if text is None:
                    raise InputValueError(f"{name}, row {row}: null; an empty text is written as an empty string")
                yield text, *others
                row += 1
    except (arrow_error, OSError, UnicodeDecodeError) as error:
        raise InputValueError(f"{name}, row {row}: cannot be read ({error})") from error


def parsed_metadata(value: object, name: str) -> dict[str, Any] | None:
    """The metadata in a cell of a column "metadata": a struct, JSON, or none; ``name`` is the file or its row."""
    if value is None or isinstance(value, dict):
        return value
    try:
        if not isinstance(value, str):
            raise TypeError(f"is {type(value).__name__}")
        metadata = json.loads(value)
    except (ValueError, TypeError, RecursionError) as error:
        raise InputValueError(f'{name}: column "metadata" is not JSON ({error})') from error
    if not isinstance(metadata, dict):
        raise InputTypeError(f'{name}: column "metadata" holds {value:.40}; expected JSON objects')
    return metadata


def vector_type(dimension: int) -> Any:
    """The type of a column of vectors: float32 lists of fixed size."""
    arrow, _ = import_pyarrow()
    return arrow.list_(arrow.float32(), dimension)


def vector_column(vectors: NDArray[np.float32]) -> Any:
    """A column of vectors, from float32 [rows, dimension]."""
    arrow, _ = import_pyarrow()
    flat = arrow.array(np.ascontiguousarray(vectors).reshape(-1))
    return arrow.FixedSizeListArray.from_arrays(flat, type=vector_type(vectors.shape[1]))
