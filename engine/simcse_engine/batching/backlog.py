"""Backlog: how many tokens wait or run, and the limit beyond which no more are accepted."""

import threading
from collections import deque

from ..errors import QueueFullError

# The part of a new measurement in the speed of late.
_NEW = 0.1
# An estimate may be wrong, and what waits may leave: nobody is told to stay away for longer.
_LONGEST_WAIT_S = 60.0


class Backlog:
    """Tokens that were accepted and are not done; safe for threads, and for a destructor on any of them.

    A call counts against the limit by at most half of it, however large it is: beside a huge one there is room for
    small ones, which do not wait for all of it.

    Attributes:
        limit: with so many tokens, no more are accepted; None for any number.
    """

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self._accepted = self._counted = 0
        self._done: deque[tuple[int, int]] = deque()
        self._lock = threading.Lock()
        self._rate = 0.0  # tokens per second, of late

    @property
    def tokens(self) -> int:
        """How many there are, as estimated from the texts' length."""
        with self._lock:
            self._settle()
            return self._accepted

    def accept(self, tokens: int) -> int:
        """Count a call's tokens in, or raise QueueFullError. One rule for all: a huge one is not refused for its size.

        Returns:
            How many of them count against the limit, for `leave`.
        """
        with self._lock:
            self._settle()
            limit = self.limit
            if limit is not None and self._counted >= limit:
                seconds = self._counted / self._rate if self._rate else 1.0
                raise QueueFullError(
                    f"{self._accepted:,} tokens are waiting, and the limit is {limit:,}; try again later",
                    retry_after_s=min(seconds, _LONGEST_WAIT_S),
                )
            counted = tokens if limit is None else min(tokens, -(-limit // 2))
            self._accepted += tokens
            self._counted += counted
            return counted

    def leave(self, tokens: int, counted: int) -> None:
        """Count a call's tokens out: done, failed or abandoned."""
        # A coroutine that is destroyed comes here, perhaps amid a block under the lock on the same thread.
        self._done.append((tokens, counted))

    def _settle(self) -> None:
        while self._done:
            tokens, counted = self._done.popleft()
            self._accepted -= tokens
            self._counted -= counted

    def note_speed(self, tokens_per_s: float) -> None:
        """Note how fast a run was."""
        self._rate = (1 - _NEW) * self._rate + _NEW * tokens_per_s if self._rate else tokens_per_s
