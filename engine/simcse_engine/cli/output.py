"""What the commands share in what they say: JSON, counted cuts, and texts that no terminal obeys."""

import contextlib
import json
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from ..errors import TruncationWarning
from .arguments import PROGRAM


@contextlib.contextmanager
def counted_cuts(truncate: str = "warn") -> Iterator[list[int]]:
    """Collect how many texts each TruncationWarning counts, and say it in one line on stderr unless silence is asked.

    Other warnings take their own way.
    """
    cuts: list[int] = []
    with warnings.catch_warnings():
        warnings.simplefilter("always", TruncationWarning)
        show = warnings.showwarning

        def count(message: Any, *where: Any, **more: Any) -> None:
            if not isinstance(message, TruncationWarning):
                show(message, *where, **more)
                return
            cuts.append(message.cut)
            if truncate != "silent":
                print(f"{PROGRAM}: warning: {message}", file=sys.stderr)

        warnings.showwarning = count
        yield cuts


def print_json(content: Any) -> None:
    """One document on stdout."""
    # In ASCII, the default, so that no terminal's or pipe's encoding can be in the way.
    print(json.dumps(content, indent=2))


def one_line(text: str) -> str:
    r"""A text as one line: white space as single spaces, and control characters, which a terminal obeys, escaped."""
    spaced = " ".join(text.split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in spaced)
