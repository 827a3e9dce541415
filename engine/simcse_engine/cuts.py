"""Counting the texts that a block's encoders have cut."""

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from .errors import TruncationWarning


@contextlib.contextmanager
def counting_cuts(tell: Callable[[TruncationWarning], object] = lambda _: None) -> Iterator[list[int]]:
    """Collect how many texts each TruncationWarning counts, and ``tell`` of it; other warnings take their own way."""
    cuts: list[int] = []
    with warnings.catch_warnings():
        warnings.simplefilter("always", TruncationWarning)
        show = warnings.showwarning

        def count(message: Any, *where: Any, **more: Any) -> None:
            if not isinstance(message, TruncationWarning):
                show(message, *where, **more)
                return
            cuts.append(message.cut)
            tell(message)

        warnings.showwarning = count
        yield cuts
