"""Filters on metadata: ``{"year": {"$gte": 2020}, "lang": "en"}`` → SQL over a JSON column.

Names and values all reach SQLite as parameters. Values are passed as JSON, so that one parser reads a number in the
filter and the number that it is compared with (docs/decisions/020-filters.md).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import InputTypeError, InputValueError

# SQLite's parser has a stack of 100, of which a level of a filter takes up to four.
_MAX_DEPTH = 16
_MAX_CONDITIONS = 500
_MAX_VALUES = 10_000
_ORDER = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_COLUMN = "metadata"


@dataclass(frozen=True)
class Condition:
    """A filter as SQL.

    Attributes:
        sql: an expression over the column ``metadata`` that is 1 or 0, never NULL, with ``?`` for every parameter.
        parameters: the values for the ``?``, in order.
    """

    sql: str
    parameters: tuple[str, ...]


def compile_where(where: Mapping[str, Any]) -> Condition:
    """Compile a filter.

    >>> compile_where({"lang": "en"}).parameters
    ('$."lang"', '$."lang"', '"en"')

    Args:
        where: fields and what they must be; all conditions must hold. ``"lang": "en"`` is short for
            ``"lang": {"$eq": "en"}``. A dot leads into an object: ``"source.year"``. Of a field: ``$eq``, ``$ne``,
            ``$gt``, ``$gte``, ``$lt``, ``$lte``, ``$in`` (a list) and ``$not`` (around any of these). Of whole filters:
            ``$and``, ``$or`` (lists of filters) and ``$not`` (a filter). A field that is absent is null. Numbers
            compare with numbers and strings with strings (by code point); anything else they are unequal, and neither
            greater nor less. ``true`` is not 1.

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
        self.parameters: list[str] = []
        self._conditions = 0

    def filter(self, where: object, depth: int) -> str:
        if not isinstance(where, Mapping):
            raise InputTypeError(f"a filter is {type(where).__name__}; expected a dict of fields")
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
            return self._compare(path, "$eq", operand)
        if not operand:
            raise InputValueError(f"the filter on {path[2:]} is empty; give an operator, as in {{'$gte': 2020}}")
        _check_depth(depth)
        parts = []
        for operator, value in operand.items():
            if operator == "$not":
                parts.append(f"NOT {self._field(path, value, depth + 1)}")
            elif operator == "$in":
                parts.append(self._in(path, value))
            elif operator == "$ne":
                parts.append(f"NOT {self._compare(path, '$eq', value)}")
            elif operator == "$eq" or operator in _ORDER:
                parts.append(self._compare(path, operator, value))
            else:
                known = ", ".join(["$eq", "$ne", *_ORDER, "$in", "$not"])
                raise InputValueError(f"{operator!r:.40} is no operator on a field; {known} are")
        return self._joined(parts, " AND ", empty=True)

    def _compare(self, path: str, operator: str, value: object) -> str:
        self._count()
        kinds = _kinds(operator, value)
        if value is None or isinstance(value, bool):
            self.parameters.append(path)
            return f"coalesce(json_type({_COLUMN}, ?), 'null') = '{kinds[0]}'"
        self.parameters += [path, path, _as_json(operator, value)]
        return _comparison(kinds, f"{_ORDER.get(operator, '=')} json_extract(?, '$')")

    def _in(self, path: str, values: object) -> str:
        """All strings are one parameter and all numbers another, so that a long list is no long expression."""
        listed = _checked_list("$in", values)
        if len(listed) > _MAX_VALUES:
            raise InputValueError(f"$in has {len(listed)} values; at most {_MAX_VALUES} are allowed")
        parts = []
        groups: dict[tuple[str, ...], list[object]] = {}
        for value in listed:
            groups.setdefault(_kinds("$in", value), []).append(value)
        for kinds, group in groups.items():
            if kinds in (_NUMBER, _TEXT):
                self._count()
                joined = ", ".join(_as_json("$in", value) for value in group)
                self.parameters += [path, path, f"[{joined}]"]
                parts.append(_comparison(kinds, "IN (SELECT value FROM json_each(?))"))
            else:
                parts.append(self._compare(path, "$eq", group[0]))
        return self._joined(parts, " OR ", empty=False)

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


_NUMBER, _TEXT = ("integer", "real"), ("text",)


def _comparison(kinds: tuple[str, ...], condition: str) -> str:
    """The SQL that a field is of one of these types and meets a condition; its name is two parameters."""
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    return f"coalesce(json_type({_COLUMN}, ?) IN ({listed}) AND json_extract({_COLUMN}, ?) {condition}, 0)"


def _check_depth(depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise InputValueError(f"the filter is nested more than {_MAX_DEPTH} deep")


def _kinds(operator: str, value: object) -> tuple[str, ...]:
    """The types of JSON, as SQLite names them, that compare with ``value``."""
    if isinstance(value, bool) or value is None:
        if operator in _ORDER:
            raise InputTypeError(f"{operator} is given {value!r}; expected a number or a str")
        return ("null",) if value is None else ("true",) if value else ("false",)
    if isinstance(value, str):
        return _TEXT
    if isinstance(value, int | float):
        return _NUMBER
    raise InputTypeError(f"{operator} is given {type(value).__name__}; expected a str, number, bool or None")


def _as_json(operator: str, value: object) -> str:
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        text.encode()
    except UnicodeEncodeError as error:
        raise InputValueError(f"{operator} is given a str with a lone surrogate, which no JSON can hold") from error
    except ValueError as error:
        raise InputValueError(f"{operator} is given {value!r:.40}, which no JSON can hold") from error
    return text


def _checked_list(operator: str, value: object) -> Sequence[object]:
    if isinstance(value, list | tuple):
        return value
    raise InputTypeError(f"{operator} is given {type(value).__name__}; expected a list")


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
