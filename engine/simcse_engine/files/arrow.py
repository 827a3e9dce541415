"""Parquet and Arrow files: the one file that imports pyarrow, which nothing else needs."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import InputValueError
from .cells import json_decimal, json_number, json_time

PARQUET, ARROW = ".parquet", ".arrow"
# In a file's own metadata: the artifact that its vectors are of.
IDENTITY = b"simcse_engine.identity"
# Beside it: the vectors' type, how many numbers each stands for, and what was put before the texts.
DTYPE, DIMENSIONS, PROMPT = b"simcse_engine.dtype", b"simcse_engine.dimensions", b"simcse_engine.prompt"
_BATCH_ROWS = 1024
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


@dataclass(frozen=True)
class Columnar:
    """An open Parquet or Arrow file.

    Attributes:
        name: the file's, for messages.
        columns: their names, and their types as pyarrow has them.
        identity: of the artifact that its vectors are of, if it says so.
        prompt: what was put before the texts of these vectors, if it says so.
        rows: how many it has; None where that is not known beforehand.
    """

    name: str
    columns: dict[str, Any]
    identity: str | None
    prompt: str | None
    rows: int | None
    _batches: Callable[[int, list[str], int], Iterator[Any]]

    def batches(self, columns: Sequence[str], rows: int = _BATCH_ROWS, start: int = 0) -> Iterator[Any]:
        """Some columns, as record batches of ``rows`` or so; InputValueError where they cannot be read.

        The first ``start`` rows are left out.
        """
        arrow, _ = import_pyarrow(self.name)
        read = start
        try:
            for batch in self._batches(rows, list(columns), start):
                yield batch.select(columns)
                read += batch.num_rows
        except (arrow.ArrowException, OSError, ValueError) as error:
            raise InputValueError(f"{self.name}, row {read + 1}: cannot be read ({error})") from error


def open_columnar(file: BinaryIO, name: str, suffix: str) -> Columnar:
    """Open a file with the ``suffix`` of Parquet or Arrow; InputValueError, with ``name``, for another kind of file."""
    arrow, parquet = import_pyarrow(name)
    try:
        if suffix == PARQUET:
            table = parquet.ParquetFile(file)
            schema, rows = table.schema_arrow, table.metadata.num_rows

            def batches(size: int, names: list[str], start: int) -> Iterator[Any]:
                # Row groups that end before are not read.
                groups, first = list(range(table.metadata.num_row_groups)), start
                while groups and table.metadata.row_group(groups[0]).num_rows <= first:
                    first -= table.metadata.row_group(groups.pop(0)).num_rows
                read = table.iter_batches(batch_size=size, row_groups=groups, columns=names, use_threads=False)
                return _without_first(read, first)
        else:
            table = arrow.ipc.open_file(file)
            schema, rows = table.schema, None

            def batches(size: int, names: list[str], start: int) -> Iterator[Any]:  # noqa: ARG001  (all are read)
                return _without_first(checked(size), start)

            def checked(size: int) -> Iterator[Any]:
                for number in range(table.num_record_batches):
                    batch = table.get_batch(number)
                    # What it says of lengths and places is trusted later on.
                    batch.validate(full=True)
                    yield from (batch.slice(start, size) for start in range(0, batch.num_rows, size))

        columns = dict(zip(schema.names, schema.types, strict=True))
    except (arrow.ArrowException, OSError, ValueError) as error:  # ValueError: of a column's name
        raise InputValueError(f"{name}: not a readable {suffix[1:].title()} file ({error})") from error
    if len(columns) < len(schema.names):
        raise InputValueError(f"{name}: two columns have one name; each needs a name of its own")
    stated = schema.metadata or {}
    identity, prompt = (
        None if fact is None else fact.decode(errors="replace") for fact in map(stated.get, (IDENTITY, PROMPT))
    )
    return Columnar(name, columns, identity, prompt, rows, batches)


def _without_first(batches: Iterable[Any], rows: int) -> Iterator[Any]:
    for batch in batches:
        left, rows = batch.slice(rows), max(0, rows - batch.num_rows)
        if left.num_rows:
            yield left


def check_strings(table: Columnar, column: str) -> None:
    """Raise InputValueError unless a column holds strings."""
    types = import_pyarrow(table.name)[0].types
    kind = table.columns[column]
    kind = kind.value_type if types.is_dictionary(kind) else kind
    if not (types.is_string(kind) or types.is_large_string(kind) or _is(types, "string_view", kind)):
        raise InputValueError(f'{table.name}: column "{column}" holds {kind}; expected string')


def columnar_texts(table: Columnar, column: str) -> Iterator[str]:
    """Read a column of strings; InputValueError, with the row's number, for one that is null or cannot be read."""
    row = 0
    for batch in table.batches([column]):
        yield from batch_texts(table, column, batch, row)
        row += batch.num_rows


def batch_texts(table: Columnar, column: str, batch: Any, start: int = 0) -> Iterator[str]:
    """The same of a batch that has been read, whose first row comes after ``start`` others."""
    for row, cell in enumerate(batch.column(column), start + 1):
        try:
            text = cell.as_py()
        except ValueError as error:  # not UTF-8
            raise _unreadable(table, row, column, error) from error
        if text is None:
            raise InputValueError(f'{table.name}, row {row}: "{column}" is null; an empty text is an empty string')
        yield text


def columnar_rows(table: Columnar, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read some columns row by row, as JSON has them: each row's place for messages, and its fields.

    Raises:
        InputValueError: at once for a column of a type that JSON has nothing for; later, with the row's number, for a
            row that cannot be read.
    """
    return batch_rows(table, columns, table.batches(columns))


def batch_rows(
    table: Columnar, columns: Sequence[str], batches: Iterable[Any], start: int = 0
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The same of batches that have been read, whose first row comes after ``start`` others."""
    arrow, _ = import_pyarrow(table.name)
    converted = []
    for column in columns:
        convert = _converter(arrow.types, table.columns[column])
        if convert is None:
            raise InputValueError(
                f'{table.name}: column "{column}" holds {table.columns[column]}, which JSON metadata '
                "cannot; convert it or leave it out"
            )
        converted.append((column, convert))
    # A generator of its own, so that the errors above are raised before a model is loaded.
    return _batch_rows(table, converted, batches, start)


def _batch_rows(
    table: Columnar, columns: list[tuple[str, "_Convert"]], batches: Iterable[Any], row: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    for batch in batches:
        for cells in zip(*(batch.column(column) for column, _ in columns), strict=True):
            row += 1
            fields = {}
            for (column, convert), cell in zip(columns, cells, strict=True):
                try:
                    value = cell.as_py()
                    fields[column] = None if value is None else convert(value)
                except (ValueError, OverflowError) as error:  # such as bytes that are not UTF-8, or the year 10,000
                    raise _unreadable(table, row, column, error) from error
            yield f"{table.name}, row {row}", fields


def _unreadable(table: Columnar, row: int, column: str, error: Exception) -> InputValueError:
    return InputValueError(f'{table.name}, row {row}: column "{column}" cannot be read ({error})')


_Convert = Callable[[Any], Any]


def _converter(types: Any, kind: Any) -> _Convert | None:
    """What makes JSON of a value, never None, of a type; None if there is no such thing."""
    if types.is_dictionary(kind):
        return _converter(types, kind.value_type)
    plain = ("null", "boolean", "integer", "string", "large_string", "string_view")
    if any(_is(types, name, kind) for name in plain):
        return lambda value: value
    if types.is_floating(kind):
        return json_number
    if types.is_decimal(kind):
        return json_decimal
    if types.is_date(kind) or types.is_time(kind) or types.is_timestamp(kind):
        return json_time
    lists = ("list", "large_list", "fixed_size_list", "list_view", "large_list_view")
    if any(_is(types, name, kind) for name in lists):
        inner = _converter(types, kind.value_type)
        return inner and (lambda value: [None if item is None else inner(item) for item in value])
    if types.is_struct(kind):
        fields = {kind.field(i).name: _converter(types, kind.field(i).type) for i in range(kind.num_fields)}
        return None if None in fields.values() else lambda value: _object(fields, value.items())
    if types.is_map(kind) and _is(types, "string", kind.key_type):
        item = _converter(types, kind.item_type)
        return item and (lambda value: _object(dict.fromkeys((name for name, _ in value), item), value))
    return None


def _object(converters: Any, items: Any) -> dict[str, Any]:
    return {name: None if value is None else converters[name](value) for name, value in items}


def _is(types: Any, name: str, kind: Any) -> bool:
    """Whether a type is one that older releases of pyarrow may not know."""
    known = getattr(types, f"is_{name}", None)
    return known is not None and bool(known(kind))


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
