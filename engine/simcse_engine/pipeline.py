"""Texts → vectors under way: window after window is tokenized and submitted, each while the one before runs."""

import sys
import warnings
from collections.abc import Generator, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .distinct import Distinct
from .errors import ClosedError, TruncationError, TruncationWarning
from .inputs import Truncate, text_item
from .machine.limits import naming_limits
from .runner import Pending, Runner
from .schedule import windows
from .tokenizer import Tokenizer
from .wording import Wording


@dataclass(frozen=True)
class Window:
    """Texts that were submitted together."""

    group: Distinct  # that they are from
    count: int  # how many of its distinct texts they are
    pending: Pending  # their vectors


class Rescued:
    """What had been encoded of a window of a stream when it was interrupted.

    Attributes:
        positions: of its texts, from the first one on whose vector was not yielded.
        vectors: float32 [positions, dimension].
    """

    def __init__(self) -> None:
        self.positions: NDArray[np.intp] = np.empty(0, np.intp)
        self.vectors: NDArray[np.float32] = np.empty((0, 0), np.float32)


def submit_windows(
    groups: Iterable[Distinct],
    tokenizer: Tokenizer,
    runner: Runner,
    truncate: Truncate,
    prompt: str,
) -> Generator[Window, None, None]:
    """Cut groups into windows, tokenize and submit them; one window is submitted ahead of the one that is yielded.

    Groups are checked texts, of which each is encoded once: all of a call, or a stream's windows one by one. The prompt
    is put before every text. Raises ClosedError in a child process that was forked meanwhile.
    """
    # Counted once: it is the same for every text.
    skipped = tokenizer.count_prompt(prompt) if prompt and not runner.includes_prompts else 0
    under_way: list[Window] = []
    start = cut = total = 0
    try:
        for group in groups:
            for texts in windows(group.texts, runner.limits):
                # Before anything else of the runner is touched: the fork may have left its locks held.
                _refuse_after_fork(runner)
                # Around work of ours alone: what the caller's texts raise, whatever it says, is the caller's.
                with naming_limits:
                    tokens = tokenizer.encode([prompt + text for text in texts] if prompt else texts)
                too_long = [texts[i] for i in tokens.cut]
                if too_long and truncate == "error":
                    raise TruncationError(
                        text_item(start + group.position(too_long[0])),
                        " has more than ",
                        _limit(tokenizer),
                        " tokens; shorten it, or cut it with ",
                        Wording("truncate='warn' or 'silent'", "--truncate warn or silent"),
                    )
                cut += group.count(too_long)
                total += group.count(texts)
                with naming_limits:
                    under_way.append(Window(group, len(texts), runner.submit(tokens.ids, skipped)))
                # Only their vectors are needed from here on.
                del tokens, texts
                if len(under_way) > 1:
                    yield under_way[0]
                    del under_way[0]
            start += len(group.originals)
        while under_way:
            _refuse_after_fork(runner)
            yield under_way[0]
            del under_way[0]
    finally:
        if not runner.abandoned:
            for window in under_way:
                window.pending.cancel()
        # Also where the texts, or the consumer of the vectors, came to an early end.
        if cut and truncate == "warn":
            message = f"{cut} of {total} texts were longer than ", _limit(tokenizer), " tokens and were cut"
            warnings.warn(TruncationWarning(*message, cut=cut, total=total), stacklevel=callers_level())


def callers_level() -> int:
    """The ``stacklevel`` of a warning that is to point at the line of the caller's that has led here."""
    frame, level = sys._getframe(1), 1
    while frame.f_globals.get("__name__", "").startswith(f"{__package__}.") and frame.f_back is not None:
        frame, level = frame.f_back, level + 1
    return level


def _limit(tokenizer: Tokenizer) -> Wording:
    return Wording(f"max_tokens={tokenizer.max_tokens}", f"the limit of {tokenizer.max_tokens}")


def _refuse_after_fork(runner: Runner) -> None:
    """Raise in a forked child: the workers that compute these vectors are in the parent process."""
    if runner.abandoned:
        raise ClosedError("this stream was begun before a fork; begin another one in the child")
