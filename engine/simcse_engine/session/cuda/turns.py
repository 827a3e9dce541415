"""Turns on the GPUs of a process: many at work at once, or one who records and nobody beside it.

While a CUDA graph is recorded, calls from any thread of the process that allocate or copy would spoil it, and fail
(CUDA's capture mode "global", which ONNX Runtime records in). That holds across sessions, so these turns do too.
"""

import contextlib
import threading
from collections.abc import Iterator


class Turns:
    """A lock that many can share, and one can have alone; who wants it alone goes before those who come later."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._working = 0
        self._waiting = 0
        self._recording = False

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Beside others who work; never inside of `recording`."""
        with self._changed:
            self._changed.wait_for(lambda: not self._recording and not self._waiting)
            self._working += 1
        try:
            yield
        finally:
            with self._changed:
                self._working -= 1
                self._changed.notify_all()

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Alone; never inside of `working`."""
        with self._changed:
            self._waiting += 1
            self._changed.wait_for(lambda: not self._recording and not self._working)
            self._waiting -= 1
            self._recording = True
        try:
            yield
        finally:
            with self._changed:
                self._recording = False
                self._changed.notify_all()


TURNS = Turns()
