"""Tables: files whose rows have named fields, `.jsonl`, `.csv`, `.tsv`, `.parquet` and `.arrow`, row by row."""

from collections.abc import Iterator
from typing import Any, BinaryIO

from ..errors import InputValueError
from .arrow import ARROW, PARQUET
from .columnar import Columnar, check_strings, columnar_texts, open_columnar
from .columnar_rows import columnar_rows
from .columns import METADATA, TEXT, check_column, text_of
from .delimited import DELIMITERS, delimited_rows
from .lines import json_lines
from .reading import Reading

JSONL = ".jsonl"
WHOLE = {PARQUET: "a Parquet file", ARROW: "an Arrow file"}
TABLES = (JSONL, *DELIMITERS, *WHOLE)

# A row's place for messages, such as "texts.csv, line 3", and its fields.
Row = tuple[str, dict[str, Any]]


def read_rows(file: BinaryIO, name: str, suffix: str, text: str | None) -> Reading[Row]:
    """Read the rows of a table.

    Args:
        file: open at its beginning.
        name: the file's, for messages.
        suffix: one of `TABLES`, which tells its format.
        text: the column of the texts; None for "text".

    Raises:
        InputValueError: at once for a file without such a column, where its beginning tells; later, with the place, for
            what is no row.
    """
    column = TEXT if text is None else text
    if suffix == JSONL:
        return Reading.of(_objects(file, name, text), file)
    if suffix in DELIMITERS:
        columns, rows = delimited_rows(file, name, DELIMITERS[suffix])
        check_column(column, columns, name)
        return Reading.of((_typed(row, column) for row in rows), file)
    return read_columnar(open_columnar(file, name, suffix), column)


def read_columnar(table: Columnar, text: str) -> Reading[Row]:
    """Read the rows of an open Parquet or Arrow file; arguments and errors as for `read_rows`."""
    _check_texts(table, text)
    return Reading.counted(columnar_rows(table, [*table.columns]), table.rows)


def read_texts(file: BinaryIO, name: str, suffix: str, text: str | None) -> Reading[str]:
    """Read the texts of a table alone; arguments and errors as for `read_rows`."""
    column = TEXT if text is None else text
    if suffix in WHOLE:
        table = open_columnar(file, name, suffix)
        _check_texts(table, column)
        return Reading.counted(columnar_texts(table, column), table.rows)
    rows = read_rows(file, name, suffix, text)
    return rows.replaced(text_of(row, column, place) for place, row in rows)


def _check_texts(table: Columnar, column: str) -> None:
    check_column(column, table.columns, table.name)
    check_strings(table, column)


def _objects(file: BinaryIO, name: str, text: str | None) -> Iterator[Row]:
    """JSON lines: objects, or strings that are texts alone."""
    column = TEXT if text is None else text
    for place, value in json_lines(file, name):
        if isinstance(value, dict):
            check_column(column, value, place)
            yield place, value
        elif isinstance(value, str) and text is None:
            yield place, {TEXT: value}
        else:
            expected = f'an object with a string under "{column}"'
            expected = f"a string, or {expected}" if text is None else expected
            raise InputValueError(f"{place}: expected {expected}, not {value!r:.40}")


def _typed(row: Row, text: str) -> Row:
    """A row of strings, with none where the field of the metadata is empty."""
    place, fields = row
    if text != METADATA and fields.get(METADATA) == "":
        fields[METADATA] = None
    return place, fields
