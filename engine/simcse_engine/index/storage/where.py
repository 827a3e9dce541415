"""Filters on metadata: ``{"year": {"$gte": 2020}, "lang": "en"}`` → SQL over a JSON column.

Names and values all reach SQLite as parameters. It reads most numbers and strings as Python does; the others are left
to `simcse_engine.index.storage.exact`, so that every comparison is exact (docs/decisions/020-filters.md).
"""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import InputTypeError, InputValueError
from ...inputs import python_value
from ...wording import Wording, kind_of

# SQLite's parser has a stack of 100, of which a level of a filter takes up to four.
_MAX_DEPTH = 16
_MAX_CONDITIONS = 500
_MAX_VALUES = 10_000
_FEW = 3
# What filters are made of, as Python and as JSON call it.
_FIELDS = Wording("a dict of fields", "an object of fields")
_SCALAR = Wording("a str, number, bool or None", "a string, number, true, false or null")
_BOOL = Wording("a bool", "true or false")
_ORDERED = Wording("a number or a str", "a number or a string")
_ORDER = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_COLUMN = "metadata"
# To older releases of SQLite a string ends at a NUL, to newer ones a name does.
_HOLDS_NUL = f"instr({_COLUMN}, '\\u0000')"
# SQLite reads whole numbers beyond 64 bits as floats, and some of its releases read floats as others nearby.
_NEAR = 1e-9
_INT64 = range(-(1 << 63), 1 << 63)


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
    ('$."year"', '[5,null]', '[5.0,null]')

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
    return Condition(sql, tuple(compiler.parameters))


class _Compiler:
    def __init__(self) -> None:
        self.parameters: list[str | int | float] = []
        self._conditions = 0

    def _bound(self, *values: str | int | float) -> list[str]:
        """Take parameters; their names in SQL."""
        start = len(self.parameters) + 1
        self.parameters += values
        return [f"?{number}" for number in range(start, start + len(values))]

    def filter(self, where: object, depth: int) -> str:
        if not isinstance(where, Mapping):
            raise InputTypeError("a filter is ", kind_of(where), "; expected ", _FIELDS)
        _check_depth(depth)
        return self._joined([self._entry(name, operand, depth) for name, operand in where.items()], " AND ", empty=True)

    def _entry(self, name: object, operand: object, depth: int) -> str:
        if not isinstance(name, str):
            raise InputTypeError(f"a filter names the field {name!r:.40}; expected a str")
        if name in ("$and", "$or"):
            parts = [self.filter(part, depth + 1) for part in _checked_list(name, operand)]
            return self._joined(parts, " AND " if name == "$and" else " OR ", empty=name == "$and")
        if name == "$not":
            return f"NOT {self.filter(operand, depth + 1)}"
        if name.startswith("$"):
            raise InputValueError(f"{name!r} is no operator on filters; $and, $or and $not are")
        return self._field(_path(name), operand, depth)

    def _field(self, path: str, operand: object, depth: int) -> str:
        if not isinstance(operand, Mapping):
            return self._equals(path, "$eq", [operand])
        if not operand:
            raise InputValueError(f'the filter on {path[2:]} is empty; give an operator, as in {{"$gte": 2020}}')
        _check_depth(depth)
        parts = []
        for operator, value in operand.items():
            if operator == "$not":
                parts.append(f"NOT {self._field(path, value, depth + 1)}")
            elif operator == "$in":
                parts.append(self._equals(path, operator, _checked_list(operator, value)))
            elif operator == "$eq":
                parts.append(self._equals(path, operator, [value]))
            elif operator == "$ne":
                parts.append(f"NOT {self._equals(path, operator, [value])}")
            elif operator == "$nin":
                parts.append(f"NOT {self._equals(path, operator, _checked_list(operator, value))}")
            elif operator == "$contains":
                parts.append(self._contains(path, operator, value))
            elif operator == "$exists":
                parts.append(self._exists(path, operator, value))
            elif operator in _ORDER:
                parts.append(self._order(path, operator, value))
            else:
                known = ", ".join(["$eq", "$ne", *_ORDER, "$in", "$nin", "$contains", "$exists", "$not"])
                raise InputValueError(f"{operator!r:.40} is no operator on a field; {known} are")
        return self._joined(parts, " AND ", empty=True)

    def _equals(self, path: str, operator: str, values: Sequence[object]) -> str:
        """That a field is one of ``values``.

        JSON as we write it has one text for each string, and one for each int and float, so that texts are compared.
        """
        self._count()
        if len(values) > _MAX_VALUES:
            raise InputValueError(f"{operator} has {len(values)} values; at most {_MAX_VALUES} are allowed")
        # With two paths, SQLite returns the JSON of what stands there, and not the value; the second leads nowhere.
        texts = [f"[{text},null]" for value in values for text in _equal_texts(operator, value)]
        (field,) = self._bound(path)
        # A list of many is one parameter, so that it is no long expression; of few, it would take longer.
        if len(texts) > _FEW:
            (listed,) = self._bound(json.dumps(texts, ensure_ascii=False))
            listed = f"SELECT value FROM json_each({listed})"
        else:
            listed = ", ".join(self._bound(*texts))
        found = f"coalesce(json_extract({_COLUMN}, {field}, '$[0]'), '[null,null]')"
        found = f"CASE WHEN {_HOLDS_NUL} THEN exact_text({_COLUMN}, {field}) ELSE {found} END"
        return f"({found} IN ({listed}))"

    def _order(self, path: str, operator: str, value: object) -> str:
        """That a field is greater or less than ``value``."""
        self._count()
        sign = _ORDER[operator]
        operand = _checked_scalar(operator, value)
        if operand is None or isinstance(operand, bool):
            raise InputTypeError(
                f"{operator} is given ", Wording(f"{operand!r}", kind_of(operand).command_line), "; expected ", _ORDERED
            )
        field, exact = self._bound(path, _as_json(operator, operand))
        kind, found = f"json_type({_COLUMN}, {field})", f"json_extract({_COLUMN}, {field})"
        exactly = f"coalesce(exact_order({_COLUMN}, {field}, {exact}) {sign} 0, 0)"
        if isinstance(operand, str):
            (text,) = self._bound(operand)
            condition = f"coalesce({found} {sign} {text} AND {kind} = 'text', 0)"
            return f"CASE WHEN {_HOLDS_NUL} THEN {exactly} ELSE {condition} END"
        low, high, whole = self._bound(*_surroundings(operand))
        below, above = f"{found} < {low}", f"{found} > {high}"
        misses, meets = (below, above) if operator in ("$gt", "$gte") else (above, below)
        return (
            f"CASE WHEN {_HOLDS_NUL} THEN {exactly} WHEN coalesce({misses}, 1) THEN 0 "
            f"WHEN {kind} NOT IN ('integer', 'real') THEN 0 WHEN {meets} THEN 1 "
            f"WHEN typeof({found}) = 'integer' THEN {found} {sign} {whole} ELSE {exactly} END"
        )

    def _contains(self, path: str, operator: str, value: object) -> str:
        """That a field is a list with ``value`` in it, or a string with it in it.

        Either way, what ``value`` is written as stands in the metadata; only where it does, Python looks closer.
        """
        self._count()
        operand = _checked_scalar(operator, value)
        texts = [text[1:-1] if isinstance(operand, str) else text for text in _equal_texts(operator, operand)]
        written = " OR ".join(f"instr({_COLUMN}, {text})" for text in self._bound(*texts))
        field, exact = self._bound(path, _as_json(operator, operand))
        return f"CASE WHEN {written} THEN exact_contains({_COLUMN}, {field}, {exact}) ELSE 0 END"

    def _exists(self, path: str, operator: str, value: object) -> str:
        """That a field is there, be it null, or that it is not."""
        self._count()
        wanted = python_value(value)
        if not isinstance(wanted, bool):
            raise InputTypeError(f"{operator} is given ", kind_of(wanted), "; expected ", _BOOL)
        (field,) = self._bound(path)
        there = f"json_type({_COLUMN}, {field}) IS NOT NULL"
        there = f"CASE WHEN {_HOLDS_NUL} THEN exact_exists({_COLUMN}, {field}) ELSE {there} END"
        return f"({there} = {int(wanted)})"

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


def _checked_scalar(operator: str, value: object) -> str | int | float | None:
    value = python_value(value)
    if value is None or isinstance(value, str | int | float):
        return value
    raise InputTypeError(f"{operator} is given ", kind_of(value), "; expected ", _SCALAR)


def _as_json(operator: str, value: object) -> str:
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        text.encode()
    except UnicodeEncodeError as error:
        raise InputValueError(f"{operator} is given a str with a lone surrogate, which no JSON can hold") from error
    except ValueError as error:
        raise InputValueError(f"{operator} is given {value!r:.40}, which no JSON can hold") from error
    return text


def _equal_texts(operator: str, operand: object) -> list[str]:
    """The JSON of everything that equals an operand: ``5`` and ``5.0`` are equal."""
    value = _checked_scalar(operator, operand)
    text = _as_json(operator, value)
    if value is None or isinstance(value, str | bool):
        return [text]
    if value == 0:
        return ["0", "0.0", "-0.0"]
    near = _as_float(value)
    return [*([str(int(value))] if value == int(value) else []), *([repr(near)] if value == near else [])]


def _as_float(number: int | float) -> float:
    """The float nearest to a number."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _surroundings(number: int | float) -> tuple[float, float, int | float]:
    """From where to where a number has to be compared exactly, and what 64-bit whole numbers are compared with there.

    The smallest floats, and zero, are always within.
    """
    near = min(max(_as_float(number), -sys.float_info.max), sys.float_info.max)
    margin = abs(near) * _NEAR + 1e-300
    low, high = near - margin, near + margin
    # Beyond the largest float, nothing but whole numbers is.
    low, high = (-math.inf if near == -sys.float_info.max else low, math.inf if near == sys.float_info.max else high)
    whole = number if isinstance(number, float) or number in _INT64 else math.copysign(math.inf, near)
    return low, high, whole


def _checked_list(operator: str, value: object) -> Sequence[object]:
    if isinstance(value, list | tuple):
        return value
    raise InputTypeError(f"{operator} is given ", kind_of(value), "; expected a list")


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
