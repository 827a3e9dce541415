"""Comparisons: what the operators of a filter are in SQL, over a column of JSON.

Values all reach SQLite as parameters. It reads most numbers and strings as Python does; the others are left to
`simcse_engine.index.storage.exact`, so that every comparison is exact (docs/decisions/020-filters.md). To read JSON is
what takes time. So a row is passed over where the value that is looked for is not written in it at all, and of the
others no more is read than decides.
"""

import json
import math
import sys
from collections.abc import Sequence

from ...errors import InputTypeError, InputValueError
from ...inputs import python_value
from ...wording import Wording, kind_of, shown

_MAX_VALUES = 10_000
_FEW = 3
# To look for more than so many texts takes as long as to read the JSON.
_MAX_SOUGHT = 5
_SCALAR = Wording("a str, number, bool or None", "a string, number, true, false or null")
_BOOL = Wording("a bool", "true or false")
_ORDERED = Wording("a number or a str", "a number or a string")
_ORDER = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_OPERATORS = ("$eq", "$ne", *_ORDER, "$in", "$nin", "$contains", "$exists")
_COLUMN = "metadata"
# To older releases of SQLite a string ends at a NUL, to newer ones a name does.
_HOLDS_NUL = f"instr({_COLUMN}, '\\u0000')"
# SQLite reads whole numbers beyond 64 bits as floats, and some of its releases read floats as others nearby.
_NEAR = 1e-9
_INT64 = range(-(1 << 63), 1 << 63)


class Comparisons:
    """Comparisons of fields with values, all of one statement.

    Attributes:
        parameters: the statement's, ``?1``, ``?2`` …
    """

    def __init__(self) -> None:
        self.parameters: list[str | int | float] = []

    def _bound(self, *values: str | int | float) -> list[str]:
        """Take parameters; their names in SQL."""
        start = len(self.parameters) + 1
        self.parameters += values
        return [f"?{number}" for number in range(start, start + len(values))]

    def sql(self, path: str, operator: str, value: object) -> str:
        """An expression that is 1 where the field at ``path``, a JSON path of SQLite, meets an operator, and else 0."""
        if operator in ("$eq", "$ne"):
            sql = self._equals(path, operator, [value])
        elif operator in ("$in", "$nin"):
            sql = self._equals(path, operator, checked_list(operator, value))
        elif operator == "$contains":
            sql = self._contains(path, operator, value)
        elif operator == "$exists":
            sql = self._exists(path, operator, value)
        elif operator in _ORDER:
            sql = self._order(path, operator, value)
        else:
            known = ", ".join([*_OPERATORS, "$not"])
            raise InputValueError(f"{operator!r:.40} is no operator on a field; {known} are")
        return f"NOT {sql}" if operator in ("$ne", "$nin") else sql

    def _equals(self, path: str, operator: str, values: Sequence[object]) -> str:
        """That a field is one of ``values``.

        JSON as we write it has one text for each string, and one for each int and float, so that texts are compared.
        """
        if len(values) > _MAX_VALUES:
            raise InputValueError(f"{operator} has {len(values)} values; at most {_MAX_VALUES} are allowed")
        texts = [text for value in values for text in _equal_texts(operator, value)]
        # With two paths, SQLite returns the JSON of what stands there, and not the value; the second leads nowhere.
        found_texts = [f"[{text},null]" for text in texts]
        (field,) = self._bound(path)
        # A list of many is one parameter, so that it is no long expression; of few, it would take longer.
        if len(texts) > _FEW:
            (listed,) = self._bound(json.dumps(found_texts, ensure_ascii=False))
            listed = f"SELECT value FROM json_each({listed})"
        else:
            listed = ", ".join(self._bound(*found_texts))
        found = f"coalesce(json_extract({_COLUMN}, {field}, '$[0]'), '[null,null]')"
        found = f"CASE WHEN {_HOLDS_NUL} THEN exact_text({_COLUMN}, {field}) ELSE {found} END"
        equal = f"({found} IN ({listed}))"
        # What is absent is null, and written nowhere.
        sought = [] if "null" in texts else _sought(texts)
        return f"CASE WHEN {self._written(sought)} THEN {equal} ELSE 0 END" if sought else equal

    def _written(self, texts: Sequence[str]) -> str:
        """That one of these stands in the metadata, wherever."""
        return " OR ".join(f"instr({_COLUMN}, {text})" for text in self._bound(*texts))

    def _order(self, path: str, operator: str, value: object) -> str:
        """That a field is greater or less than ``value``."""
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
            return f"CASE WHEN {_HOLDS_NUL} THEN {exactly} WHEN {found} {sign} {text} THEN {kind} = 'text' ELSE 0 END"
        low, high, whole = _surroundings(operand)
        greater = operator in ("$gt", "$gte")
        least, most, surely, number = self._bound(
            low if greater else -math.inf, math.inf if greater else high, high if greater else low, whole
        )
        is_number = f"{kind} IN ('integer', 'real')"
        # A string lies behind all numbers, so within no bounds; but true lies at 1, and false at 0.
        meets = "1" if (low > 1 if greater else high < 0) else is_number
        return (
            f"CASE WHEN {_HOLDS_NUL} THEN {exactly} WHEN NOT coalesce({found} BETWEEN {least} AND {most}, 0) THEN 0 "
            f"WHEN {found} {sign[0]} {surely} THEN {meets} WHEN NOT {is_number} THEN 0 "
            f"WHEN typeof({found}) = 'integer' THEN {found} {sign} {number} ELSE {exactly} END"
        )

    def _contains(self, path: str, operator: str, value: object) -> str:
        """That a field is a list with ``value`` in it, or a string with it in it.

        Either way, what ``value`` is written as stands in the metadata; only where it does, Python looks closer.
        """
        operand = _checked_scalar(operator, value)
        texts = [text[1:-1] if isinstance(operand, str) else text for text in _equal_texts(operator, operand)]
        written = self._written(texts)
        field, exact = self._bound(path, _as_json(operator, operand))
        return f"CASE WHEN {written} THEN exact_contains({_COLUMN}, {field}, {exact}) ELSE 0 END"

    def _exists(self, path: str, operator: str, value: object) -> str:
        """That a field is there, be it null, or that it is not."""
        wanted = python_value(value)
        if not isinstance(wanted, bool):
            raise InputTypeError(f"{operator} is given ", kind_of(wanted), "; expected ", _BOOL)
        (field,) = self._bound(path)
        there = f"json_type({_COLUMN}, {field}) IS NOT NULL"
        there = f"CASE WHEN {_HOLDS_NUL} THEN exact_exists({_COLUMN}, {field}) ELSE {there} END"
        return f"({there} = {int(wanted)})"


def checked_list(operator: str, value: object) -> Sequence[object]:
    """The operand of an operator that takes a list."""
    if isinstance(value, list | tuple):
        return value
    raise InputTypeError(f"{operator} is given ", kind_of(value), "; expected a list")


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
        raise InputValueError(f"{operator} is given {shown(value)}, which no JSON can hold") from error
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


def _sought(texts: Sequence[str]) -> list[str]:
    """Texts of which one stands wherever one of ``texts`` does; none where there would be too many.

    >>> _sought(["2020", "2020.0", "2021", "2021.0"])
    ['2020', '2021']
    """
    if len(texts) > 3 * _MAX_SOUGHT:
        return []
    shortest = [text for text in texts if not any(other in text for other in texts if other != text)]
    distinct = list(dict.fromkeys(shortest))
    return distinct if len(distinct) <= _MAX_SOUGHT else []
