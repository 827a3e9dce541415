"""Rows of Parquet and Arrow files, as JSON has them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from ..errors import InputValueError
from .arrow import import_pyarrow
from .cells import json_decimal, json_number, json_time
from .columnar import Columnar, is_type, unreadable


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
                    raise unreadable(table, row, column, error) from error
            yield f"{table.name}, row {row}", fields


_Convert = Callable[[Any], Any]


def _converter(types: Any, kind: Any) -> _Convert | None:
    """What makes JSON of a value, never None, of a type; None if there is no such thing."""
    if types.is_dictionary(kind):
        return _converter(types, kind.value_type)
    plain = ("null", "boolean", "integer", "string", "large_string", "string_view")
    if any(is_type(types, name, kind) for name in plain):
        return lambda value: value
    if types.is_floating(kind):
        return json_number
    if types.is_decimal(kind):
        return json_decimal
    if types.is_date(kind) or types.is_time(kind) or types.is_timestamp(kind):
        return json_time
    lists = ("list", "large_list", "fixed_size_list", "list_view", "large_list_view")
    if any(is_type(types, name, kind) for name in lists):
        inner = _converter(types, kind.value_type)
        return inner and (lambda value: [None if item is None else inner(item) for item in value])
    if types.is_struct(kind):
        fields = {kind.field(i).name: _converter(types, kind.field(i).type) for i in range(kind.num_fields)}
        return None if None in fields.values() else lambda value: _object(fields, value.items())
    if types.is_map(kind) and is_type(types, "string", kind.key_type):
        item = _converter(types, kind.item_type)
        return item and (lambda value: _object(dict.fromkeys((name for name, _ in value), item), value))
    return None


def _object(converters: Any, items: Any) -> dict[str, Any]:
    return {name: None if value is None else converters[name](value) for name, value in items}
