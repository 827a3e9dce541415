"""The kinds of keys: what each takes, and that it comes back as it was."""

import itertools
import json
import random
import sqlite3
from typing import Any
from uuid import RFC_4122, UUID, uuid4

import numpy as np
import pytest

from simcse_engine.errors import InputTypeError, InputValueError
from simcse_engine.index.storage.key_kinds import KEY_KINDS, MAX_KEY

NUMBERS, STRINGS, UUIDS = (KEY_KINDS[name] for name in ("int", "str", "uuid"))
ONE, OTHER = UUID(int=1), UUID(int=2**128 - 1)
# Each must come back as it is, and be another's equal nowhere.
ODD = [
    *("123", "0123", " 123 ", "1e3", "-0", "123.0", "0x7b", "NULL", "true", "\t", "\n", "a\nb"),
    *(
        "'",
        '"',
        "''; DROP TABLE entries; --",
        "\\u0041",
        "A",
        "a",
        "%",
        "$",
        "漢字",
        "שלום",
        "\u202eabc",
        "é",
        "e\u0301",
    ),
    *(
        "😀",
        "👩‍👩‍👧",
        "\ufeff",
        "\uffff",
        "\U0010ffff",
        "\x01",
        "\x7f",
        "x" * 1000,
        "😀" * 1000,
        str(ONE),
        "[1]",
        "null",
    ),
]


def test_numbers() -> None:
    assert NUMBERS.checked([0, np.int64(5), np.uint64(MAX_KEY)], 3) == [0, 5, MAX_KEY]
    assert NUMBERS.checked(range(3), 3) == [0, 1, 2]
    assert NUMBERS.checked(iter([7, 7])) == [7, 7]
    assert NUMBERS.checked(np.array([3, 1], np.uint8)) == [3, 1]


def test_strings() -> None:
    class Name(str):
        __slots__ = ()

    checked = STRINGS.checked([Name("a"), np.str_("b"), *ODD])
    assert checked == ["a", "b", *ODD]
    assert {type(key) for key in checked} == {str}
    assert STRINGS.checked(np.array(["a", "bc"]), 2) == ["a", "bc"]


def test_uuids() -> None:
    assert UUIDS.checked([ONE, str(OTHER), str(OTHER).upper()]) == [ONE, OTHER, OTHER]
    assert UUIDS.in_json(ONE) == UUIDS.stored(ONE) == "00000000-0000-0000-0000-000000000001"
    with pytest.raises(InputValueError, match=r"keys\[1\] is keys\[0\] again \(ffffffff-"):
        UUIDS.checked([OTHER, str(OTHER).upper()], 2)


@pytest.mark.parametrize(
    ("kind", "keys", "error", "message"),
    [
        ("int", "ab", InputTypeError, "keys is str; expected a list of whole numbers"),
        ("int", 5, InputTypeError, "keys is int"),
        ("int", {1: 2}, InputTypeError, "keys is dict"),
        (
            "int",
            [1, "2"],
            InputTypeError,
            r"keys\[1\] is '2'; expected a whole number; the keys of this index are whole",
        ),
        ("int", [1, 2.0], InputTypeError, r"keys\[1\] is 2\.0; expected"),
        ("int", [1, True], InputTypeError, r"keys\[1\] is True; expected"),
        ("int", [1, -1], InputValueError, r"keys\[1\] is -1; expected a whole number from 0"),
        ("int", [1, MAX_KEY + 1], InputValueError, r"keys\[1\]"),
        ("int", [1], InputValueError, "keys has 1 for 2 texts"),
        ("int", [4, 4], InputValueError, r"keys\[1\] is keys\[0\] again \(4\)"),
        ("str", "ab", InputTypeError, "keys is str; expected a list of strings"),
        ("str", ["a", 1], InputTypeError, r"keys\[1\] is 1; expected a string; the keys of this index are strings"),
        ("str", ["a", b"b"], InputTypeError, r"keys\[1\] is b'b'"),
        ("str", ["a", None], InputTypeError, r"keys\[1\] is None"),
        ("str", ["a", ONE], InputTypeError, r"keys\[1\] is UUID"),
        ("str", ["a", ""], InputValueError, r"keys\[1\] has 0 characters; expected 1 to 1,000"),
        ("str", ["a", "x" * 1001], InputValueError, r"keys\[1\] has 1,001 characters"),
        ("str", ["a", "a\0b"], InputValueError, r"keys\[1\] holds the character NUL"),
        ("str", ["a", "\ud800"], InputValueError, r"keys\[1\] holds a lone surrogate \('\\ud800'\)"),
        ("str", ["a", "a"], InputValueError, r"keys\[1\] is keys\[0\] again \(a\)"),
        ("uuid", [ONE, 1], InputTypeError, r"keys\[1\] is 1; expected a UUID; the keys of this index are UUIDs"),
        ("uuid", [ONE, ONE.hex], InputValueError, r"keys\[1\] is '0+1'; expected a UUID such as '0{8}-"),
        ("uuid", [ONE, f"{{{ONE}}}"], InputValueError, r"keys\[1\] is '\{0"),
        ("uuid", [ONE, f"{ONE}\n"], InputValueError, r"keys\[1\]"),
        ("uuid", [ONE, str(ONE).replace("1", "١")], InputValueError, r"keys\[1\]"),
    ],
)
def test_refused(kind: str, keys: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        KEY_KINDS[kind].checked(keys, 2)


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        (NUMBERS, [0, 5, 2**63 - 1, 2**63, MAX_KEY]),
        (STRINGS, ODD),
        (UUIDS, [ONE, OTHER, *(uuid4() for _ in range(20))]),
    ],
)
def test_as_sqlite_has_them(kind: Any, keys: list[Any]) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute(f"CREATE TABLE t (row INTEGER PRIMARY KEY, key {kind.column} NOT NULL UNIQUE)")
    connection.executemany("INSERT INTO t VALUES (?, ?)", enumerate(map(kind.stored, keys)))
    sql = "SELECT t.key FROM json_each(?) j JOIN t ON t.key = j.value"
    for written in (keys, [*reversed(keys)]):
        listed = json.dumps(list(map(kind.stored, written)), ensure_ascii=False)
        assert [kind.of_stored(stored) for (stored,) in connection.execute(sql, (listed,))] == written
    connection.close()


@pytest.mark.parametrize("kind", [STRINGS, UUIDS])
@pytest.mark.parametrize("stored", [5, b"a", None])
def test_what_none_was_stored_as(kind: Any, stored: Any) -> None:
    with pytest.raises(TypeError):
        kind.of_stored(stored)


@pytest.mark.parametrize(
    ("kind", "keys"), [(NUMBERS, [2**63 + 5, 0, MAX_KEY, 7]), (STRINGS, ODD), (UUIDS, [OTHER, ONE, uuid4(), uuid4()])]
)
def test_ranks_have_the_order_of_the_keys(kind: Any, keys: list[Any]) -> None:
    keys = random.Random(0).sample(keys, len(keys))
    assert [keys[i] for i in np.argsort(kind.ranks(keys))] == sorted(keys)
    assert len(kind.ranks([])) == 0


def test_automatic_keys() -> None:
    assert NUMBERS.automatic(5, 3) == [5, 6, 7]
    assert NUMBERS.automatic(MAX_KEY, 1) == [MAX_KEY]
    assert NUMBERS.after(9, [3, 11]) == 12
    with pytest.raises(InputValueError, match="no larger key"):
        NUMBERS.automatic(MAX_KEY, 2)
    assert STRINGS.automatic(0, 0) == []
    with pytest.raises(InputValueError, match=r"none is automatic; give keys=…"):
        STRINGS.automatic(0, 1)
    assert STRINGS.after(0, ["a"]) == 0


def test_automatic_uuids_rise() -> None:
    keys = UUIDS.automatic(0, 5000)
    assert keys == sorted(set(keys))
    assert {(key.version, key.variant) for key in keys} == {(7, RFC_4122)}
    # Of another index, at the same time.
    assert not {*keys} & {*itertools.islice(UUIDS.series(0), 5000)}


@pytest.mark.parametrize(
    ("kind", "text", "key"), [(NUMBERS, "0017", 17), (STRINGS, "0017", "0017"), (UUIDS, str(OTHER).upper(), OTHER)]
)
def test_as_texts_spell_them(kind: Any, text: str, key: Any) -> None:
    assert kind.of_text(text, "line 1") == key
    assert kind.of_json(kind.in_json(key), "line 1") == key


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *((NUMBERS, text) for text in ("x", "-1", "١", "", "9" * 5000, str(MAX_KEY + 1))),
        *((STRINGS, text) for text in ("", "a\0", "\ud800", "x" * 1001)),
        *((UUIDS, text) for text in ("", "x", ONE.hex)),
    ],
)
def test_what_texts_do_not_spell(kind: Any, text: str) -> None:
    with pytest.raises(InputValueError, match=r"line 1: the key (is|has|holds) "):
        kind.of_text(text, "line 1")
