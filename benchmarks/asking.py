"""What the commands that ask questions share: options in words, and how long it takes."""

import json
from typing import Any


def option(word: str) -> tuple[str, Any]:
    """A question's option and its value: as JSON has it, else a text."""
    name, equals, value = word.partition("=")
    if not equals:
        raise ValueError(f"{word} has no value")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} min"
