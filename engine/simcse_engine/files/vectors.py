"""Files of vectors, written block by block: `.npy`, `.jsonl`, `.parquet` and `.arrow`.

A file appears whole or not at all (see `simcse_engine.files.atomic`), and memory holds a block or two of it.
"""

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import InputValueError
from .arrow import (
    ARROW,
    DIMENSIONS,
    DTYPE,
    IDENTITY,
    PARQUET,
    PROMPT,
    grouped_parquet,
    import_pyarrow,
    vector_column,
    vector_type,
)
from .atomic import check_replaceable, whole_file
from .columns import VECTOR

# Appends a block: texts, and their vectors, [texts, columns].
Write = Callable[[Sequence[str], NDArray[Any]], None]


@dataclass(frozen=True, kw_only=True)
class VectorFacts:
    """What a file's vectors are.

    Attributes:
        columns: numbers per vector, as they are stored.
        numpy: the type of these numbers.
        dtype: what that type is called, and whether bits are packed; see `simcse_engine.forms.VectorForm`.
        dimensions: numbers per vector, before bits are packed.
        identity: of the artifact that they are of.
        prompt: what was put before the texts.
    """

    columns: int
    numpy: np.dtype[Any]
    dtype: str
    dimensions: int
    identity: str
    prompt: str = ""

    @property
    def metadata(self) -> dict[bytes, bytes]:
        """What a schema says of them."""
        facts = {IDENTITY: self.identity, DTYPE: self.dtype, DIMENSIONS: str(self.dimensions), PROMPT: self.prompt}
        # No prompt is one too.
        return {name: fact.encode() for name, fact in facts.items() if fact or name == PROMPT}


def check_suffix(target: Path) -> None:
    """Raise InputValueError unless the name ends with the suffix of a format that can be written."""
    if target.suffix.lower() not in _WRITERS:
        raise InputValueError(f"{target}: the name must end with {', '.join([*_WRITERS][:-1])} or {[*_WRITERS][-1]}")


def check_target(target: Path) -> None:
    """Raise, as `create_vectors` does, for a file that cannot be written, before a model is loaded for it."""
    check_suffix(target)
    check_replaceable(target)
    if target.suffix.lower() in (PARQUET, ARROW):
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
def create_vectors(target: Path, facts: VectorFacts) -> Iterator[Write]:
    """Yield a function that appends texts and their vectors to a file, which becomes ``target`` when the block ends.

    Args:
        target: `.npy` is [rows, columns], without the texts; `.jsonl` has a line per text, see `json_row`; `.parquet`
            and `.arrow` have a column "text" of strings and a column "vector" of lists of fixed size, and the facts in
            the schema's metadata. A file that exists there is replaced; if the block ends with an error, it stays as
            it was.
        facts: what the vectors are.
    """
    check_target(target)
    writer = _WRITERS[target.suffix.lower()]
    with whole_file(target) as path, path.open("wb") as file, writer(file, facts) as write:
        yield write


@contextlib.contextmanager
def _npy(file: BinaryIO, facts: VectorFacts) -> Iterator[Write]:
    rows, numpy = 0, facts.numpy.newbyteorder("<")

    def write(_: Sequence[str], vectors: NDArray[Any]) -> None:
        nonlocal rows
        file.write(np.ascontiguousarray(vectors, numpy).data)
        rows += len(vectors)

    _write_npy_header(file, numpy, rows, facts.columns)
    yield write
    # The number of rows is known only now. NumPy pads a header so that the first axis can grow in place.
    file.seek(0)
    _write_npy_header(file, numpy, rows, facts.columns)


def _write_npy_header(file: BinaryIO, numpy: np.dtype[Any], rows: int, columns: int) -> None:
    header = {"descr": numpy.str, "fortran_order": False, "shape": (rows, columns)}
    np.lib.format.write_array_header_1_0(file, header)


@contextlib.contextmanager
def _jsonl(file: BinaryIO, facts: VectorFacts) -> Iterator[Write]:
    def write(texts: Sequence[str], vectors: NDArray[Any]) -> None:
        for text, vector in zip(texts, vectors, strict=True):
            file.write(json_row(text, vector, facts.dtype))

    yield write


def json_row(text: str, vector: NDArray[Any], dtype: str) -> bytes:
    """A line of `.jsonl`: an object with "text", "vector", and "dtype" where its numbers are no floats."""
    form = "" if vector.dtype.kind == "f" else f', "dtype": "{dtype}"'
    return f'{{"text": {json.dumps(text, ensure_ascii=False)}, "vector": {json_vector(vector)}{form}}}\n'.encode()


def json_vector(vector: NDArray[Any]) -> str:
    """A vector as JSON, from which the same numbers of its type are read again."""
    # So many digits tell every number from its neighbours. As Python floats they would take twice as many.
    digits = {np.float32: "%.9g", np.float16: "%.5g"}.get(vector.dtype.type, "%d")
    return f"[{', '.join([digits] * len(vector)) % tuple(vector.tolist())}]"


@contextlib.contextmanager
def _parquet(file: BinaryIO, facts: VectorFacts) -> Iterator[Write]:
    schema = _schema(facts)
    with grouped_parquet(file, schema) as write:
        yield lambda texts, vectors: write(_table(texts, vectors, schema))


@contextlib.contextmanager
def _arrow(file: BinaryIO, facts: VectorFacts) -> Iterator[Write]:
    arrow, _ = import_pyarrow()
    schema = _schema(facts)
    with arrow.ipc.new_file(file, schema) as output:
        yield lambda texts, vectors: output.write_table(_table(texts, vectors, schema))


def _schema(facts: VectorFacts) -> Any:
    arrow, _ = import_pyarrow()
    vector = arrow.field(VECTOR, vector_type(facts.columns, facts.numpy))
    return arrow.schema([arrow.field("text", arrow.string(), nullable=False), vector], metadata=facts.metadata)


def _table(texts: Sequence[str], vectors: NDArray[Any], schema: Any) -> Any:
    arrow, _ = import_pyarrow()
    return arrow.table([arrow.array(texts, arrow.string()), vector_column(vectors)], schema=schema)


_WRITERS: dict[str, Callable[[BinaryIO, VectorFacts], AbstractContextManager[Write]]] = {
    ".npy": _npy,
    ".jsonl": _jsonl,
    PARQUET: _parquet,
    ARROW: _arrow,
}
