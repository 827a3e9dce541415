"""Files of vectors, written block by block: `.npy`, `.jsonl` and `.parquet`.

A file appears whole or not at all (see `simcse_engine.files.atomic`), and memory holds a block or two of it.
"""

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import InputValueError
from .arrow import import_pyarrow, vector_column, vector_type
from .atomic import check_replaceable, whole_file

# Appends a block: texts, and their vectors, float32 [texts, dimension].
Write = Callable[[Sequence[str], NDArray[np.float32]], None]

# A Parquet row group ends at this many rows, or sooner where texts are long.
_GROUP_ROWS = 4096
_GROUP_BYTES = 64_000_000


def check_suffix(target: Path) -> None:
    """Raise InputValueError unless the name ends with the suffix of a format that can be written."""
    if target.suffix.lower() not in _WRITERS:
        raise InputValueError(f"{target}: the name must end with {', '.join([*_WRITERS][:-1])} or {[*_WRITERS][-1]}")


def check_target(target: Path) -> None:
    """Raise, as `create_vectors` does, for a file that cannot be written, before a model is loaded for it."""
    check_suffix(target)
    check_replaceable(target)
    if target.suffix.lower() == ".parquet":
        import_pyarrow(str(target))


def load_npy(source: str) -> NDArray[Any]:
    """Map an `.npy` file into memory; InputValueError if it cannot be read, or holds no array of numbers."""
    try:
        array = np.load(source, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise InputValueError(f"{source}: cannot be read ({error.strerror or error})") from error
    except MemoryError:
        raise
    except Exception as error:  # its header is parsed as Python's source, which fails in many ways
        raise InputValueError(f"{source}: is no .npy file of numbers ({error})") from error
    if not isinstance(array, np.ndarray):
        raise InputValueError(f"{source}: is an .npz archive; expected an .npy file")
    return array


@contextlib.contextmanager
def create_vectors(target: Path, dimension: int) -> Iterator[Write]:
    """Yield a function that appends texts and their vectors to a file, which becomes ``target`` when the block ends.

    Args:
        target: `.npy` is float32 [rows, dimension], without the texts; `.jsonl` has an object with "text" and "vector"
            per line; `.parquet` has a column "text" of strings and a column "vector" of float32 lists of fixed size.
            A file that exists there is replaced; if the block ends with an error, it stays as it was.
        dimension: floats per vector.
    """
    check_target(target)
    writer = _WRITERS[target.suffix.lower()]
    with whole_file(target) as path, path.open("wb") as file, writer(file, dimension) as write:
        yield write


@contextlib.contextmanager
def _npy(file: BinaryIO, dimension: int) -> Iterator[Write]:
    rows = 0

    def write(_: Sequence[str], vectors: NDArray[np.float32]) -> None:
        nonlocal rows
        file.write(np.ascontiguousarray(vectors, "<f4").data)
        rows += len(vectors)

    _write_npy_header(file, rows, dimension)
    yield write
    # The number of rows is known only now. NumPy pads a header so that the first axis can grow in place.
    file.seek(0)
    _write_npy_header(file, rows, dimension)


def _write_npy_header(file: BinaryIO, rows: int, dimension: int) -> None:
    header = {"descr": "<f4", "fortran_order": False, "shape": (rows, dimension)}
    np.lib.format.write_array_header_1_0(file, header)


@contextlib.contextmanager
def _jsonl(file: BinaryIO, _dimension: int) -> Iterator[Write]:
    def write(texts: Sequence[str], vectors: NDArray[np.float32]) -> None:
        for text, vector in zip(texts, vectors, strict=True):
            file.write(json_row(text, vector))

    yield write


def json_row(text: str, vector: NDArray[np.float32]) -> bytes:
    """A text and its vector as a line of `.jsonl`."""
    return f'{{"text": {json.dumps(text, ensure_ascii=False)}, "vector": {json_vector(vector)}}}\n'.encode()


def json_vector(vector: NDArray[np.float32]) -> str:
    """A vector as JSON, from which the same float32 are read again."""
    # Nine digits tell every float32 from its neighbours. As Python floats they would take twice as many digits.
    return f"[{', '.join(['%.9g'] * len(vector)) % tuple(vector.tolist())}]"


@contextlib.contextmanager
def _parquet(file: BinaryIO, dimension: int) -> Iterator[Write]:
    arrow, parquet = import_pyarrow()
    fields = [arrow.field("text", arrow.string(), nullable=False), arrow.field("vector", vector_type(dimension))]
    schema = arrow.schema(fields)
    rest = schema.empty_table()

    def write(texts: Sequence[str], vectors: NDArray[np.float32]) -> None:
        nonlocal rest
        block = arrow.table([arrow.array(texts, arrow.string()), vector_column(vectors)], schema=schema)
        rest = arrow.concat_tables([rest, block])
        while rest.num_rows >= _GROUP_ROWS or rest.nbytes >= _GROUP_BYTES:
            output.write_table(rest.slice(0, _GROUP_ROWS))
            rest = rest.slice(_GROUP_ROWS)

    # Neither texts nor floats repeat, so that a dictionary of them would be a waste.
    with parquet.ParquetWriter(file, schema, use_dictionary=False) as output:
        yield write
        if rest.num_rows:
            output.write_table(rest)


_WRITERS: dict[str, Callable[[BinaryIO, int], AbstractContextManager[Write]]] = {
    ".npy": _npy,
    ".jsonl": _jsonl,
    ".parquet": _parquet,
}
