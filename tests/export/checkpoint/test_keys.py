"""Each key of a file is honoured, refused by name, harmless, or worth a warning."""

import re

import pytest

from simcse_engine.errors import CheckpointError, UnsupportedModelError
from simcse_export.checkpoint.keys import HARMLESS, HONOURED, NotApplied, Only, check_keys

RULES = {
    "length": HONOURED,
    "version": HARMLESS,
    "task": Only(("text", None), "only text can be exported"),
    "query": NotApplied((None, 0), "queries alone heed it"),
    "call": {"padding": HARMLESS, "cut": Only((True,), "texts are cut")},
}


def test_what_is_known_says_nothing() -> None:
    content = {"length": 3, "version": [1], "task": "text", "query": None, "call": {"padding": 1, "cut": True}}
    assert check_keys("a.json", content, RULES) == []
    assert check_keys("a.json", {"call": None, "task": None}, RULES) == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"task": "images"}, "a.json: task is 'images'; only text"),
        ({"call": {"cut": 0}}, "a.json: call: cut is 0; texts"),
    ],
)
def test_what_is_refused(content: dict[str, object], says: str) -> None:
    with pytest.raises(UnsupportedModelError, match=re.escape(says)):
        check_keys("a.json", content, RULES)


def test_what_is_worth_a_warning() -> None:
    content = {"query": 3, "\x1b[2J": 1, "call": {"fast": True}}
    assert check_keys("a.json", content, RULES) == [
        "a.json: query is 3; queries alone heed it",
        "a.json: the key '\\x1b[2J' is unknown, and no artifact heeds it",
        "a.json: call: the key 'fast' is unknown, and no artifact heeds it",
    ]


def test_what_is_no_object() -> None:
    with pytest.raises(CheckpointError, match=r"a\.json: call is 'fast'; expected a JSON object"):
        check_keys("a.json", {"call": "fast"}, RULES)


def test_a_value_of_any_depth_is_shown_shortly() -> None:
    deep: object = "x"
    for _ in range(5000):
        deep = [deep]
    (warning,) = check_keys("a.json", {"query": deep}, RULES)
    assert warning == "a.json: query is [[[[[[[...]]]]]]]; queries alone heed it"
