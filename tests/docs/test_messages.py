"""The messages that the page on troubleshooting explains are those that the code prints."""

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
# pip's words are not ours.
MESSAGES = [message for message in re.findall(r"^> `(.*)`$", PAGE, re.MULTILINE) if "ERROR:" not in message]


@functools.cache
def literals() -> frozenset[str]:
    """The strings of the source, and the constant parts of those with fields."""
    trees = [
        ast.parse(path.read_text(encoding="utf-8"))
        for folder in ("engine", "export", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
    ]
    constants = (node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant))
    parts = (value.strip(" :;,.…") for value in constants if isinstance(value, str))
    return frozenset(part for part in parts if len(part) >= 8)


@pytest.mark.parametrize("message", MESSAGES)
def test_most_of_a_message_stands_in_the_source(message: str) -> None:
    covered: set[int] = set()
    for part in literals():
        start = message.find(part)
        if start >= 0:
            covered.update(range(start, start + len(part)))
    assert len(covered) / len(message) > 0.5


def test_there_are_messages() -> None:
    assert len(MESSAGES) > 20
