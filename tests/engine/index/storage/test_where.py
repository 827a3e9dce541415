"""Filters mean what a plain reading of them in Python means."""

import json
import sqlite3
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcse_engine.errors import InputTypeError, InputValueError
from simcse_engine.index.storage.where import compile_where

ROWS: list[dict[str, Any] | None] = [
    None,
    {},
    {"year": 2020, "lang": "en"},
    {"year": 2021.5, "lang": "de", "ok": True},
    {"year": "2020", "ok": False},
    {"year": None, "lang": "EN"},
    {"year": True, "ok": 1},
    {"year": [2020], "source": {"year": 1999, "name": "a.b"}},
    {"año": "ñ", "source": 5},
    {"year": -1, "lang": ""},
]


def matching(where: object, rows: list[dict[str, Any] | None] = ROWS) -> list[int]:
    condition = compile_where(where)  # type: ignore[arg-type]
    database = sqlite3.connect(":memory:")
    try:
        database.execute("CREATE TABLE t (i INTEGER, metadata TEXT)")
        written = [(i, None if row is None else json.dumps(row, ensure_ascii=False)) for i, row in enumerate(rows)]
        database.executemany("INSERT INTO t VALUES (?, ?)", written)
        sql = f"SELECT i, {condition.sql} FROM t ORDER BY i"
        results = database.execute(sql, condition.parameters).fetchall()
    finally:
        database.close()
    assert {value for _, value in results} <= {0, 1}
    return [i for i, value in results if value]


EVERY = list(range(len(ROWS)))


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({}, EVERY),
        ({"year": 2020}, [2]),
        ({"year": 2020.0}, [2]),
        ({"year": "2020"}, [4]),
        ({"year": True}, [6]),
        ({"ok": True}, [3]),
        ({"ok": 1}, [6]),
        ({"ok": False}, [4]),
        ({"year": None}, [0, 1, 5, 8]),
        ({"year": {"$ne": None}}, [2, 3, 4, 6, 7, 9]),
        ({"year": {"$ne": 2020}}, [0, 1, 3, 4, 5, 6, 7, 8, 9]),
        ({"year": {"$gte": 2020}}, [2, 3]),
        ({"year": {"$gt": 2020}}, [3]),
        ({"year": {"$lt": 2020}}, [9]),
        ({"year": {"$lte": 2020, "$gt": -5}}, [2, 9]),
        ({"lang": {"$gt": "EN"}}, [2, 3]),
        ({"lang": ""}, [9]),
        ({"year": {"$in": [2020, "2020", None, True]}}, [0, 1, 2, 4, 5, 6, 8]),
        ({"year": {"$in": []}}, []),
        ({"year": {"$not": {"$gte": 2020}}}, [0, 1, 4, 5, 6, 7, 8, 9]),
        ({"year": {"$gte": 2020}, "lang": "en"}, [2]),
        ({"$or": [{"year": 2020}, {"lang": "de"}]}, [2, 3]),
        ({"$and": [{"year": {"$gt": 0}}, {"$not": {"lang": "en"}}]}, [3]),
        ({"$not": {"year": 2020}}, [i for i in EVERY if i != 2]),
        ({"$or": []}, []),
        ({"$and": []}, EVERY),
        ({"source.year": 1999}, [7]),
        ({"source.year": {"$exists": 1}}, InputValueError),
        ({"año": "ñ"}, [8]),
        ({"source": 5}, [8]),
        ({"no such": {"$gte": 0}}, []),
    ],
)
def test_meaning(where: object, expected: object) -> None:
    if isinstance(expected, type):
        with pytest.raises(expected, match="no operator"):
            matching(where)
    else:
        assert matching(where) == expected


@pytest.mark.parametrize(
    ("where", "error", "message"),
    [
        ("year", InputTypeError, "a filter is str"),
        ([], InputTypeError, "a filter is list"),
        ({1: 2}, InputTypeError, "names the field 1"),
        ({"$xor": []}, InputValueError, "no operator on filters"),
        ({"$and": {}}, InputTypeError, "expected a list"),
        ({"$and": [1]}, InputTypeError, "a filter is int"),
        ({"$not": [{}]}, InputTypeError, "a filter is list"),
        ({"year": {}}, InputValueError, "is empty"),
        ({"year": {"gte": 1}}, InputValueError, "no operator on a field"),
        ({"year": {1: 1}}, InputValueError, "no operator on a field"),
        ({"year": {"$in": 5}}, InputTypeError, "expected a list"),
        ({"year": {"$in": "abc"}}, InputTypeError, "expected a list"),
        ({"year": {"$in": [[1]]}}, InputTypeError, r"\$in is given list"),
        ({"year": {"$in": [0] * 10_001}}, InputValueError, "at most 10000"),
        ({"year": [1]}, InputTypeError, r"\$eq is given list"),
        ({"year": {"$gt": None}}, InputTypeError, "a number or a str"),
        ({"year": {"$gt": True}}, InputTypeError, "a number or a str"),
        ({"year": float("nan")}, InputValueError, "no JSON"),
        ({"year": {"$lt": float("inf")}}, InputValueError, "no JSON"),
        ({"lang": "\ud800"}, InputValueError, "lone surrogate"),
        ({"\ud800": 1}, InputValueError, "cannot filter"),
        ({"": 1}, InputValueError, "cannot filter"),
        ({'a"b': 1}, InputValueError, "cannot filter"),
        ({"a..b": 1}, InputValueError, "a dot leads"),
        ({"$or": [{"a": 1}] * 501}, InputValueError, "more than 500"),
    ],
)
def test_refused(where: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        compile_where(where)  # type: ignore[arg-type]


def test_depth() -> None:
    nested: dict[str, Any] = {"year": {"$in": [2020, 5, "x"]}}
    for level in range(16):
        nested = {"$not": nested} if level % 4 < 2 else {"$and": [{"lang": "en"}, nested]}
    assert matching(nested) == [2]
    where = {"$not": nested}
    with pytest.raises(InputValueError, match="16 deep"):
        compile_where(where)


def test_nothing_of_the_caller_s_is_in_the_sql() -> None:
    evil = "x') OR 1=1 --"
    condition = compile_where({evil: {"$in": [evil, 1]}, "$or": [{"a": evil}, {evil: {"$gt": evil}}]})
    assert "1=1" not in condition.sql
    assert matching({evil: evil}, [{"a": 1}, {evil: evil}]) == [1]
    assert matching({"a": {"$in": [evil]}}, [{"a": 1}, {"a": evil}]) == [1]


@pytest.mark.parametrize("part", [{}, {"$or": []}, {"$and": []}, {"a": {"$in": []}}])
def test_parts_without_a_comparison_count_too(part: dict[str, Any]) -> None:
    assert compile_where({"$or": [part] * 500})
    with pytest.raises(InputValueError, match="more than 500 conditions"):
        compile_where({"$or": [part] * 501})


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.integers(-3, 3),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.1, 0.2, 0.30000000000000004, 0.3, 1e308, 5e-324, 9007199254740993, 2**63, 2**63 - 1]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
)
FIELDS = st.sampled_from(["a", "b", "ü x"])


def equal(value: object, operand: object) -> bool:
    if isinstance(value, bool) or isinstance(operand, bool) or value is None or operand is None:
        return value is operand
    return isinstance(value, str) == isinstance(operand, str) and value == operand


def ordered(value: object, operand: object, operator: str) -> bool:
    if isinstance(value, bool) or value is None or isinstance(value, str) != isinstance(operand, str):
        return False
    return {"$gt": value > operand, "$gte": value >= operand, "$lt": value < operand, "$lte": value <= operand}[
        operator
    ]


def as_database_reads(value: object) -> object:
    """Whole numbers beyond 64 bits are floats to SQLite."""
    return float(value) if isinstance(value, int) and not -(2**63) <= value < 2**63 else value


@settings(max_examples=300)
@given(rows=st.lists(st.dictionaries(FIELDS, SCALARS), max_size=6), field=FIELDS, value=SCALARS, data=st.data())
def test_against_python(rows: list[dict[str, Any]], field: str, value: object, data: st.DataObject) -> None:
    values = [as_database_reads(row.get(field)) for row in rows]
    operand = as_database_reads(value)
    assert matching({field: value}, rows) == [i for i, v in enumerate(values) if equal(v, operand)]
    assert matching({field: {"$ne": value}}, rows) == [i for i, v in enumerate(values) if not equal(v, operand)]
    others = data.draw(st.lists(SCALARS, max_size=4))
    among = [as_database_reads(other) for other in others]
    expected = [i for i, v in enumerate(values) if any(equal(v, other) for other in among)]
    assert matching({field: {"$in": others}}, rows) == expected
    if value is not None and not isinstance(value, bool):
        for operator in ("$gt", "$gte", "$lt", "$lte"):
            expected = [i for i, v in enumerate(values) if ordered(v, operand, operator)]
            assert matching({field: {operator: value}}, rows) == expected
