"""The lock of a process's GPUs: many share it to compute and copy, one has it alone to record.

While a CUDA graph is recorded, calls from any thread of the process that allocate or copy would spoil it, and fail
(CUDA's capture mode "global", in which ONNX Runtime records). That holds across sessions, so there is one lock for all.
"""

import contextlib
import threading
from collections.abc import Iterator


class SharedLock:
    """A lock that many can share, or one can have alone; a thread that waits to be alone goes before later ones."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._sharing = 0
        self._waiting = 0
        self._alone = False

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        """Hold the lock beside others; never inside of `alone`."""
        with self._changed:
            self._changed.wait_for(lambda: not self._alone and not self._waiting)
            self._sharing += 1
        try:
            yield
        finally:
            with self._changed:
                self._sharing -= 1
                self._changed.notify_all()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock alone; never inside of `shared`."""
        with self._changed:
            self._waiting += 1
            self._changed.wait_for(lambda: not self._alone and not self._sharing)
            self._waiting -= 1
            self._alone = True
        try:
            yield
        finally:
            with self._changed:
                self._alone = False
                self._changed.notify_all()


GPU_LOCK = SharedLock()
