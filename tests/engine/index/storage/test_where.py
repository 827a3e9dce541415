"""Filters mean what a plain reading of them in Python means."""

import json
import math
import os
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simcse_engine
from simcse_engine.errors import InputTypeError, InputValueError
from simcse_engine.index.checks import checked_metadata
from simcse_engine.index.storage.exact import add_functions
from simcse_engine.index.storage.where import compile_where
from support.child import run_script
from support.environments import overlay

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
        add_functions(database)
        database.execute("CREATE TABLE t (i INTEGER, metadata TEXT)")
        database.executemany("INSERT INTO t VALUES (?, ?)", enumerate(checked_metadata(rows, len(rows))))
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
        # So many that they are not looked for in the text of the metadata before it is read.
        ({"year": {"$in": [*range(2010, 2020), 2020.0, "2020"]}}, [2, 4]),
        ({"ok": {"$in": [True, 1, "1", "true"]}}, [3, 6]),
        ({"year": {"$not": {"$gte": 2020}}}, [0, 1, 4, 5, 6, 7, 8, 9]),
        ({"year": {"$gte": 2020}, "lang": "en"}, [2]),
        ({"$or": [{"year": 2020}, {"lang": "de"}]}, [2, 3]),
        ({"$and": [{"year": {"$gt": 0}}, {"$not": {"lang": "en"}}]}, [3]),
        ({"$not": {"year": 2020}}, [i for i in EVERY if i != 2]),
        ({"$or": []}, []),
        ({"$and": []}, EVERY),
        ({"source.year": 1999}, [7]),
        ({"source.year": {"$regex": "1"}}, InputValueError),
        ({"year": {"$nin": [2020, "2020", None, True]}}, [3, 7, 9]),
        ({"year": {"$nin": []}}, EVERY),
        ({"lang": {"$nin": ["en", "de"]}}, [0, 1, 4, 5, 6, 7, 8, 9]),
        ({"year": {"$exists": True}}, [2, 3, 4, 5, 6, 7, 9]),
        ({"year": {"$exists": False}}, [0, 1, 8]),
        ({"source.year": {"$exists": True}}, [7]),
        ({"source.no": {"$exists": False}, "source": {"$exists": True}}, [7, 8]),
        ({"year": {"$exists": True, "$ne": None}}, [2, 3, 4, 6, 7, 9]),
        ({"year": {"$contains": 2020}}, [7]),
        ({"year": {"$contains": 2020.0}}, [7]),
        ({"year": {"$contains": "2020"}}, [4]),
        ({"year": {"$contains": "02"}}, [4]),
        ({"year": {"$contains": True}}, []),
        ({"year": {"$not": {"$contains": "20"}}}, [i for i in EVERY if i != 4]),
        ({"lang": {"$contains": "e"}}, [2, 3]),
        ({"lang": {"$contains": ""}}, [2, 3, 5, 9]),
        ({"source.name": {"$contains": "."}}, [7]),
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
        ({"year": {"$nin": 5}}, InputTypeError, r"\$nin is given int; expected a list"),
        ({"year": {"$nin": [0] * 10_001}}, InputValueError, r"\$nin has 10001 values; at most 10000"),
        ({"year": {"$exists": 1}}, InputTypeError, r"\$exists is given int; expected a bool"),
        ({"year": {"$exists": None}}, InputTypeError, r"\$exists is given NoneType; expected a bool"),
        ({"tags": {"$contains": ["a"]}}, InputTypeError, r"\$contains is given list; expected a str, number"),
        ({"tags": {"$contains": float("nan")}}, InputValueError, "no JSON"),
        ({"tags": {"$contains": "\ud800"}}, InputValueError, "lone surrogate"),
        ({"$or": [{"a": {"$contains": 1}}] * 501}, InputValueError, "more than 500"),
        ({"$or": [{"a": {"$exists": True}}] * 501}, InputValueError, "more than 500"),
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
    nested: dict[str, Any] = {"year": {"$in": [2020, 5, "x"], "$gte": 2020, "$lt": 2**70}}
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


@pytest.mark.parametrize(
    "number", [2020, np.int64(2020), np.uint8(7), np.float32(0.1), np.float64(2021.5), np.array(2020)]
)
def test_numpy_scalars_are_numbers(number: Any) -> None:
    plain = number.item() if hasattr(number, "item") else number
    rows = [*ROWS, {"year": 7}, {"year": plain}, {"year": float(plain)}]
    for where in ({"year": number}, {"year": {"$in": [number]}}, {"year": {"$gte": number}}, {"year": {"$ne": number}}):
        as_plain = json.loads(json.dumps(where, default=lambda scalar: scalar.item()))
        assert matching(where, rows) == matching(as_plain, rows)
    assert matching({"ok": np.True_}) == matching({"ok": True}) == [3]
    assert matching({"lang": np.str_("en")}) == [2]
    with pytest.raises(InputTypeError, match=r"\$gt is given True"):
        matching({"year": {"$gt": np.True_}})


# What releases of SQLite read otherwise than Python does, with the rows that a filter finds.
READ_OTHERWISE: list[tuple[list[dict[str, Any]], dict[str, Any], list[int]]] = [
    ([{"z": "a"}, {"z": "a\0b"}, {"z": "a\0c"}, {"z": ""}], {"z": "a"}, [0]),
    ([{"z": "a"}, {"z": "a\0b"}, {"z": "a\0c"}, {"z": ""}], {"z": {"$in": ["a\0c"]}}, [2]),
    ([{"z": "a"}, {"z": "a\0b"}, {"z": "a\0c"}, {"z": ""}], {"z": {"$gt": "a"}}, [1, 2]),
    ([{"z": "a"}, {"z": "a\0b"}, {"z": "a\0c"}, {"z": ""}], {"z": {"$lte": "a\0b"}}, [0, 1, 3]),
    ([{"d": 2**63 + 1}, {"d": 2**63 + 2}, {"d": 2**63 + 900}], {"d": 2**63 + 1}, [0]),
    ([{"d": 2**63 + 1}, {"d": 2**63 + 2}, {"d": 2**63 + 900}], {"d": {"$gt": 2**63 + 2}}, [2]),
    ([{"d": -(2**63)}, {"d": -(2**63) - 1}], {"d": -(2**63) - 1}, [1]),
    ([{"d": -(2**63)}, {"d": -(2**63) - 1}], {"d": {"$gte": -(2**63)}}, [0]),
    ([{"d": 2**64}, {"d": 2.0**64}, {"d": 2**64 + 1}], {"d": 2**64}, [0, 1]),
    ([{"a\0b": 1}, {"a": 1}, {"a\0b": 1, "a": 2}], {"a": 1}, [1]),
    ([{"a\0b": 1}, {"a": 1}, {"a\0b": 1, "a": 2}], {"a": {"$gte": 1}}, [1, 2]),
    ([{"a\0b": None}, {"a": None}, {"a\0b": 1, "a": 2}], {"a": {"$exists": True}}, [1, 2]),
    ([{"z": ["a\0b", 2**63 + 1]}, {"z": ["a"]}, {"z": [2**63 + 2]}], {"z": {"$contains": 2**63 + 1}}, [0]),
    ([{"z": ["a\0b"]}, {"z": ["a"]}, {"z": "a\0b"}], {"z": {"$contains": "a\0b"}}, [0, 2]),
    ([{"z": ["a\0b"]}, {"z": ["a"]}, {"z": "a\0b"}], {"z": {"$contains": "a"}}, [1, 2]),
    # SQLite 3.46 reads the second as the first.
    ([{"f": 1.1386688403772069e122}, {"f": 1.138668840377207e122}], {"f": 1.138668840377207e122}, [1]),
    ([{"f": 1.1386688403772069e122}, {"f": 1.138668840377207e122}], {"f": {"$gt": 1.1386688403772069e122}}, [1]),
]


@pytest.mark.parametrize(("rows", "where", "expected"), READ_OTHERWISE)
def test_what_sqlite_reads_otherwise(
    rows: list[dict[str, Any] | None], where: dict[str, Any], expected: list[int]
) -> None:
    assert matching(where, rows) == expected


IN_ANOTHER_RELEASE = """
import json, sys
import pysqlite3
from simcse_engine.index.checks import checked_metadata
from simcse_engine.index.storage.exact import add_functions
from simcse_engine.index.storage.where import compile_where

for rows, where, expected in json.loads(sys.argv[1]):
    database = pysqlite3.connect(":memory:")
    add_functions(database)
    database.execute("CREATE TABLE t (i INTEGER, metadata TEXT)")
    database.executemany("INSERT INTO t VALUES (?, ?)", enumerate(checked_metadata(rows, len(rows))))
    condition = compile_where(where)
    found = database.execute(f"SELECT i FROM t WHERE {condition.sql} ORDER BY i", condition.parameters).fetchall()
    assert [i for (i,) in found] == expected, (where, found)
"""


def test_what_another_release_of_sqlite_reads_otherwise() -> None:
    release, engine = overlay("pysqlite3-binary==0.5.4"), Path(simcse_engine.__file__).parents[1]
    run_script(IN_ANOTHER_RELEASE, json.dumps(READ_OTHERWISE), PYTHONPATH=f"{release}{os.pathsep}{engine}")


# One character apart, around a NUL, as JSON spells them, and what only looks like an escape.
PIECES = ["\0", "\x01", "a", "b", "\\", "u0000", '"', "\n", "é", "\uffff", "😀"]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=3).map("".join)
# Neighbours of all kinds: ints and floats around 2**53, 2**63, 2**64, the largest and the smallest floats, and zero.
NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70),
    st.integers(-3, 3),
    st.floats(allow_nan=False, allow_infinity=False),
    st.builds(
        lambda power, less, sign: sign * (2**power - less),
        st.sampled_from([53, 63, 64, 1024]),
        st.integers(-3, 3),
        st.sampled_from([1, -1]),
    ),
    st.builds(math.ldexp, st.sampled_from([1.0, -1.0]), st.sampled_from([53, 63, 64, -1074])),
    st.builds(
        math.nextafter, st.sampled_from([0.1, 2.0**63, -(2.0**63), 1e22, 0.0]), st.sampled_from([-math.inf, math.inf])
    ),
    st.sampled_from([0.1, 0.30000000000000004, 0.3, 1e308, 1.7976931348623157e308, -0.0, 10**400, -(10**400)]),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
# To newer releases of SQLite, the first of these is another spelling of the second.
NAMES = st.sampled_from(["a\0b", "a", "ü x", "a[0]", "0", "$x", '"', "\\u0000", ""])
VALUES = st.recursive(SCALARS, lambda values: st.lists(values, max_size=2) | st.dictionaries(NAMES, values, max_size=3))
FIELDS = st.sampled_from(["a", "ü x", "a[0]", "0", "a.a", "a.0"])


def value_at(row: Any, field: str) -> Any:
    for name in field.split("."):
        row = row.get(name) if isinstance(row, dict) else None
    return row


def equal(value: object, operand: object) -> bool:
    if isinstance(value, bool) or isinstance(operand, bool) or value is None or operand is None:
        return value is operand
    return type(value) not in (list, dict) and isinstance(value, str) == isinstance(operand, str) and value == operand


def ordered(value: Any, operand: Any, operator: str) -> bool:
    if value is None or isinstance(value, bool | list | dict) or isinstance(value, str) != isinstance(operand, str):
        return False
    return {"$gt": value > operand, "$gte": value >= operand, "$lt": value < operand, "$lte": value <= operand}[
        operator
    ]


def contains(value: Any, operand: object) -> bool:
    if isinstance(value, str):
        return isinstance(operand, str) and operand in value
    return isinstance(value, list) and any(equal(member, operand) for member in value)


def is_there(row: Any, field: str) -> bool:
    *path, last = field.split(".")
    for name in path:
        row = row.get(name) if isinstance(row, dict) else None
    return isinstance(row, dict) and last in row


@settings(max_examples=500)
@given(rows=st.lists(st.dictionaries(NAMES, VALUES, max_size=3), max_size=6), field=FIELDS, data=st.data())
def test_against_python(rows: list[dict[str, Any]], field: str, data: st.DataObject) -> None:
    values = [value_at(row, field) for row in rows]
    there = [value for value in values if not isinstance(value, list | dict)]
    # Half of the time something that is there.
    operands = st.sampled_from(there) | SCALARS if there else SCALARS
    value, others = data.draw(operands), data.draw(st.lists(operands, max_size=4))
    assert matching({field: value}, rows) == [i for i, v in enumerate(values) if equal(v, value)]
    assert matching({field: {"$ne": value}}, rows) == [i for i, v in enumerate(values) if not equal(v, value)]
    expected = [i for i, v in enumerate(values) if any(equal(v, other) for other in others)]
    assert matching({field: {"$in": others}}, rows) == expected
    assert matching({field: {"$nin": others}}, rows) == [i for i in range(len(rows)) if i not in expected]
    there = [i for i, row in enumerate(rows) if is_there(row, field)]
    assert matching({field: {"$exists": True}}, rows) == there
    assert matching({field: {"$exists": False}}, rows) == [i for i in range(len(rows)) if i not in there]
    if value is not None and not isinstance(value, bool):
        for operator in ("$gt", "$gte", "$lt", "$lte"):
            expected = [i for i, v in enumerate(values) if ordered(v, value, operator)]
            assert matching({field: {operator: value}}, rows) == expected


@settings(max_examples=300)
@given(rows=st.lists(st.dictionaries(NAMES, VALUES, max_size=3), max_size=6), field=FIELDS, data=st.data())
def test_contains_against_python(rows: list[dict[str, Any]], field: str, data: st.DataObject) -> None:
    values = [value_at(row, field) for row in rows]
    inside = [
        part
        for value in values
        if isinstance(value, list | str)
        for part in (value if isinstance(value, list) else [value[:2], value[1:2]])
        if not isinstance(part, list | dict)
    ]
    value = data.draw(st.sampled_from(inside) | SCALARS if inside else SCALARS)
    assert matching({field: {"$contains": value}}, rows) == [i for i, v in enumerate(values) if contains(v, value)]
