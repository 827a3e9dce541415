"""What the commands that ask questions share: which are asked, their options in words, and how long it takes."""

import argparse
import json
from collections.abc import Iterable
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


def add_options(parser: argparse.ArgumentParser, questions: Iterable[str]) -> None:
    """Add the options that choose among questions, and how they are asked."""
    parser.add_argument("--only", nargs="+", choices=sorted(set(questions)))
    parser.add_argument("--set", nargs="+", type=option, default=[], metavar="OPTION=VALUE")
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--trial", action="store_true")


def parsed(parser: argparse.ArgumentParser, words: list[str] | None) -> argparse.Namespace:
    """The arguments; exit where an option is set for all questions, which have others each."""
    arguments = parser.parse_args(words)
    if arguments.set and arguments.only is None:
        parser.error("--set goes with --only")
    return arguments


def minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} min"
