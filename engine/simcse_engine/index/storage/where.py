"""Filters on metadata: ``{"year": {"$gte": 2020}, "lang": "en"}`` → SQL over a JSON column.

Here is how filters are put together; what their operators are in SQL stands in `comparisons`. Names and values all
reach SQLite as parameters.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import InputTypeError, InputValueError
from ...wording import Wording, kind_of, shown
from .comparisons import Comparisons, checked_list

# SQLite's parser has a stack of 100, of which a level of a filter takes up to four.
_MAX_DEPTH = 16
_MAX_CONDITIONS = 500
# What filters are made of, as Python and as JSON call it.
_FIELDS = Wording("a dict of fields", "an object of fields")


@dataclass(frozen=True)
class Condition:
    """A filter as SQL, for a connection with the functions of `exact`.

    Attributes:
        sql: an expression over the column ``metadata`` that is 1 or 0, never NULL, with ``?1``, ``?2`` … for the
            parameters.
        parameters: their values.
    """

    sql: str
    parameters: tuple[str | int | float, ...]


def compile_where(where: Mapping[str, Any]) -> Condition:
    """Compile a filter.

    >>> compile_where({"year": 5}).parameters
    ('$."year"', '[5,null]', '[5.0,null]', '5')

    Args:
        where: fields and what they must be; all conditions must hold. ``"lang": "en"`` is short for
            ``"lang": {"$eq": "en"}``. A dot leads into an object: ``"source.year"``. Of a field: ``$eq``, ``$ne``,
            ``$gt``, ``$gte``, ``$lt``, ``$lte``, ``$in`` and ``$nin`` (a list), ``$contains``, ``$exists`` (true or
            false) and ``$not`` (around any of these). Of whole filters: ``$and``, ``$or`` (lists of filters) and
            ``$not`` (a filter). A field that is absent is null, and only ``$exists`` tells them apart. Numbers
            compare with numbers and strings with strings (by code point); anything else they are unequal, and neither
            greater nor less. ``true`` is not 1. A list contains what equals one of its members, a string its
            substrings, and anything else nothing.

    Raises:
        InputTypeError: ``where``, or the operand of an operator, is of the wrong type.
        InputValueError: an unknown operator, a field without one, a filter that is too large, or a value that JSON
            cannot hold.
    """
    compiler = _Compiler()
    sql = compiler.filter(where, depth=0)
    return Condition(sql, tuple(compiler.comparisons.parameters))


class _Compiler:
    def __init__(self) -> None:
        self.comparisons = Comparisons()
        self._conditions = 0

    def filter(self, where: object, depth: int) -> str:
        if not isinstance(where, Mapping):
            raise InputTypeError("a filter is ", kind_of(where), "; expected ", _FIELDS)
        _check_depth(depth)
        return self._joined([self._entry(name, operand, depth) for name, operand in where.items()], " AND ", empty=True)

    def _entry(self, name: object, operand: object, depth: int) -> str:
        if not isinstance(name, str):
            raise InputTypeError(f"a filter names the field {shown(name)}; expected a str")
        if name in ("$and", "$or"):
            parts = [self.filter(part, depth + 1) for part in checked_list(name, operand)]
            return self._joined(parts, " AND " if name == "$and" else " OR ", empty=name == "$and")
        if name == "$not":
            return f"NOT {self.filter(operand, depth + 1)}"
        if name.startswith("$"):
            raise InputValueError(f"{name!r} is no operator on filters; $and, $or and $not are")
        return self._field(_path(name), operand, depth)

    def _field(self, path: str, operand: object, depth: int) -> str:
        if not isinstance(operand, Mapping):
            return self._compared(path, "$eq", operand)
        if not operand:
            raise InputValueError(f'the filter on {path[2:]} is empty; give an operator, as in {{"$gte": 2020}}')
        _check_depth(depth)
        parts = []
        for operator, value in operand.items():
            if operator == "$not":
                parts.append(f"NOT {self._field(path, value, depth + 1)}")
            else:
                parts.append(self._compared(path, operator, value))
        return self._joined(parts, " AND ", empty=True)

    def _compared(self, path: str, operator: str, value: object) -> str:
        self._count()
        return self.comparisons.sql(path, operator, value)

    def _joined(self, parts: list[str], by: str, *, empty: bool) -> str:
        if parts:
            return f"({by.join(parts)})"
        # Says nothing, and yet is a part of the expression.
        self._count()
        return str(int(empty))

    def _count(self) -> None:
        self._conditions += 1
        if self._conditions > _MAX_CONDITIONS:
            raise InputValueError(f"the filter has more than {_MAX_CONDITIONS} conditions")


def _check_depth(depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise InputValueError(f"the filter is nested more than {_MAX_DEPTH} deep")


def _path(name: str) -> str:
    """A field's name as a JSON path of SQLite."""
    # Inside quotes, a path has no escapes for these.
    if not name or any(c in '"\\' or ord(c) < 32 or 0xD800 <= ord(c) <= 0xDFFF for c in name):
        raise InputValueError(f"cannot filter on the field {name!r:.40}: empty, or with a quote, backslash or control")
    parts = name.split(".")
    if "" in parts:
        raise InputValueError(
            f"cannot filter on the field {name!r:.40}: a dot leads into an object, and here to no name"
        )
    return "$" + "".join(f'."{part}"' for part in parts)
