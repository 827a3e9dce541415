"""Files of comma- or tab-separated values, `.csv` and `.tsv`, whose first line names the columns."""

import csv
from collections.abc import Iterator
from typing import Any, BinaryIO

from ..errors import InputValueError
from .lines import whole_lines

DELIMITERS = {".csv": ",", ".tsv": "\t"}
# The csv module's limit is 128 KB, for all of a process. It is raised to what a line may have.
_MAX_FIELD = 1 << 28


def delimited_rows(file: BinaryIO, name: str, delimiter: str) -> tuple[list[str], Iterator[tuple[str, dict[str, str]]]]:
    r"""Read the names of the columns, and row by row each one's place for messages and its fields by column.

    A field in quotes may hold delimiters, line ends and doubled quotes. An empty line is no row, unless there is only
    one column.

    Raises:
        InputValueError: at once for a file without columns, or two of one name; later, with the line's number, for a
            row with more or fewer fields, or with quotes in odd places.
    """
    csv.field_size_limit(max(csv.field_size_limit(), _MAX_FIELD))
    reader = csv.reader(whole_lines(file, name), delimiter=delimiter, strict=True)
    records = _records(reader, name)
    _, columns = next(records, ("", []))
    if not columns:
        raise InputValueError(f"{name}: empty; expected a first line with the names of the columns")
    for i, column in enumerate(columns):
        if column in columns[:i]:
            raise InputValueError(f'{name}: two columns are named "{column:.40}"; each needs a name of its own')
    return columns, _rows(records, columns)


def _rows(records: Iterator[tuple[str, list[str]]], columns: list[str]) -> Iterator[tuple[str, dict[str, str]]]:
    for place, fields in records:
        if not fields:
            if len(columns) > 1:
                continue
            fields = [""]
        if len(fields) != len(columns):
            raise InputValueError(
                f"{place}: {len(fields)} fields for {len(columns)} columns; a field with a delimiter in it stands in "
                "quotes"
            )
        yield place, dict(zip(columns, fields, strict=True))


def _records(reader: Any, name: str) -> Iterator[tuple[str, list[str]]]:
    while True:
        start = reader.line_num + 1
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise InputValueError(
                f"{name}, line {start}: {error}; a field that begins with a quote ends with one, and quotes in it are "
                "doubled"
            ) from error
        if fields is None:
            return
        yield f"{name}, line {start}", fields
