"""What the commands share in what they print: JSON, counted cuts, and texts as lines that no terminal obeys."""

import argparse
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from ..cuts import counting_cuts
from ..errors import TruncationWarning
from .arguments import PROGRAM
from .streams import escaped, print_message, print_out


def counted_cuts(truncate: str = "warn") -> AbstractContextManager[list[int]]:
    """Collect how many texts each TruncationWarning counts, and print it in one line on stderr unless "silent"."""

    def tell(warning: TruncationWarning) -> None:
        if truncate != "silent":
            print_message(f"{PROGRAM}: warning: {warning.on_command_line()}")

    return counting_cuts(tell)


def print_json(content: Any) -> None:
    """Print one document to stdout."""
    print_out(as_json(content, indent=2))


def as_json(content: Any, indent: int | None = None) -> str:
    """JSON in printable ASCII, which passes through every terminal and pipe."""
    # Of ASCII's characters that are not printable, json leaves this one.
    return json.dumps(content, indent=indent).replace("\x7f", r"\u007f")


def print_result(args: argparse.Namespace, content: Any, text: Callable[[], str]) -> None:
    """Print what a command was asked for to stdout: ``content`` with ``--json``, else what ``text`` returns."""
    if args.json:
        print_json(content)
    else:
        print_out(text())


def print_report(args: argparse.Namespace, report: dict[str, Any], line: str) -> None:
    """Print what a command has done: ``report`` to stdout with ``--json``, else ``line`` to stderr."""
    if args.json:
        print_json(report)
    else:
        print_message(line)


def one_line(text: str) -> str:
    r"""A text as one line: white space as single spaces, and control characters, which a terminal obeys, escaped."""
    return escaped(" ".join(text.split()))
