"""Backlog: how many tokens wait or run, and the limit beyond which no more are accepted."""

import threading
from collections import deque

from ..errors import QueueFullError

# The part of a new measurement in the speed of late.
_NEW = 0.1


class Backlog:
    """Tokens that were accepted and are not done; safe for threads, and for a destructor on any of them.

    Attributes:
        limit: with so many tokens, no more are accepted; None for any number.
    """

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self._accepted = 0
        self._done: deque[int] = deque()
        self._lock = threading.Lock()
        self._rate = 0.0  # tokens per second, of late

    @property
    def tokens(self) -> int:
        """How many there are, as estimated from the texts' length."""
        with self._lock:
            return self._settled()

    def accept(self, tokens: int) -> None:
        """Count tokens in, or raise QueueFullError. One rule for all: a huge call is not refused for its size."""
        with self._lock:
            there = self._settled()
            if self.limit is not None and there >= self.limit:
                raise QueueFullError(
                    f"{there:,} tokens are waiting, and the limit is {self.limit:,}; try again later",
                    retry_after_s=there / self._rate if self._rate else 1.0,
                )
            self._accepted += tokens

    def leave(self, tokens: int) -> None:
        """Count tokens out: done, failed or abandoned."""
        # A coroutine that is destroyed comes here, perhaps amid a block under the lock on the same thread.
        self._done.append(tokens)

    def _settled(self) -> int:
        while self._done:
            self._accepted -= self._done.popleft()
        return self._accepted

    def note_speed(self, tokens_per_s: float) -> None:
        """Note how fast a run was."""
        self._rate = (1 - _NEW) * self._rate + _NEW * tokens_per_s if self._rate else tokens_per_s
