"""pyarrow, which this file alone imports: what is written by it, and what files say of themselves."""

import contextlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import InputValueError

PARQUET, ARROW = ".parquet", ".arrow"
# In a file's own metadata: the artifact that its vectors are of.
IDENTITY = b"simcse_engine.identity"
# Beside it: the vectors' type, how many numbers each stands for, and what was put before the texts.
DTYPE, DIMENSIONS, PROMPT = b"simcse_engine.dtype", b"simcse_engine.dimensions", b"simcse_engine.prompt"
# A Parquet row group ends at this many rows, or sooner where texts are long.
_GROUP_ROWS = 4096
_GROUP_BYTES = 64_000_000


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


@contextlib.contextmanager
def grouped_parquet(file: BinaryIO, schema: Any) -> Iterator[Callable[[Any], None]]:
    """Yield a function that appends tables of ``schema`` to a Parquet file, in row groups of its own making."""
    arrow, parquet = import_pyarrow()
    rest = schema.empty_table()

    def write(table: Any) -> None:
        nonlocal rest
        rest = arrow.concat_tables([rest, table])
        while rest.num_rows >= _GROUP_ROWS or rest.nbytes >= _GROUP_BYTES:
            output.write_table(rest.slice(0, _GROUP_ROWS))
            rest = rest.slice(_GROUP_ROWS)

    # Neither texts nor floats repeat, so that a dictionary of them would be a waste.
    with parquet.ParquetWriter(file, schema, use_dictionary=False) as output:
        yield write
        if rest.num_rows:
            output.write_table(rest)


def vector_type(columns: int, numpy: np.dtype[Any] = np.dtype(np.float32)) -> Any:  # noqa: B008  (immutable)
    """The type of a column of vectors: lists of fixed size, of numbers of a type of NumPy."""
    arrow, _ = import_pyarrow()
    return arrow.list_(arrow.from_numpy_dtype(numpy), columns)


def vector_column(vectors: NDArray[Any]) -> Any:
    """A column of vectors, from [rows, columns] numbers of the type that the column will have."""
    arrow, _ = import_pyarrow()
    flat = arrow.array(np.ascontiguousarray(vectors).reshape(-1))
    return arrow.FixedSizeListArray.from_arrays(flat, type=vector_type(vectors.shape[1], vectors.dtype))
