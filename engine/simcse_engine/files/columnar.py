"""Parquet and Arrow files as they are read: columns in batches, and texts."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from ..errors import InputValueError
from .arrow import IDENTITY, PARQUET, PROMPT, import_pyarrow

_BATCH_ROWS = 1024


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
    if not (types.is_string(kind) or types.is_large_string(kind) or is_type(types, "string_view", kind)):
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
            raise unreadable(table, row, column, error) from error
        if text is None:
            raise InputValueError(f'{table.name}, row {row}: "{column}" is null; an empty text is an empty string')
        yield text


def unreadable(table: Columnar, row: int, column: str, error: Exception) -> InputValueError:
    """What is wrong with a cell that cannot be read."""
    return InputValueError(f'{table.name}, row {row}: column "{column}" cannot be read ({error})')


def is_type(types: Any, name: str, kind: Any) -> bool:
    """Whether a type is one that older releases of pyarrow may not know."""
    known = getattr(types, f"is_{name}", None)
    return known is not None and bool(known(kind))
