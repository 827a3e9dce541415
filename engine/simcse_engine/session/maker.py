"""The maker of the runtime's sessions, and what forks mean to them: docs/decisions/010-forks.md.

A child has its parent's sessions without their threads, for which a destructor would wait. While a session is made, the
runtime holds locks of its own, which a child that was forked then would find held for ever.
"""

import contextlib
import functools
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..machine.forks import ForkAware, ProcessBound, register

if TYPE_CHECKING:
    import onnxruntime

# How long a fork waits for sessions that other threads are making.
_FORK_SECONDS = 5


def make_session(
    ort: ModuleType, model: Path | bytes, settings: "onnxruntime.SessionOptions", **arguments: Any
) -> "onnxruntime.InferenceSession":
    """Make a session of the runtime ``ort``; the one place that does. No forked child destroys it."""
    make = _process_bound(ort.InferenceSession)
    with _MAKING.one():
        try:
            session: onnxruntime.InferenceSession = make(
                model if isinstance(model, bytes) else str(model), settings, **arguments
            )
        except BaseException as error:
            # They hold a half-built session, threads included, which is not process-bound: it goes here and now.
            traceback.clear_frames(error.__traceback__)
            raise
    return session


@functools.cache
def _process_bound(session: type) -> type:
    return type(session.__name__, (ProcessBound, session), {})


class _Making(ForkAware):
    """The sessions that are being made in this process; a fork waits for them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0
        register("runtime", self)

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        with self._changed:
            self._count += 1
        try:
            yield
        finally:
            with self._changed:
                self._count -= 1
                self._changed.notify_all()

    def _before_fork(self) -> None:
        self._changed.acquire()
        self._changed.wait_for(lambda: not self._count, _FORK_SECONDS)

    def _after_fork_in_parent(self) -> None:
        self._changed.release()

    def _after_fork_in_child(self) -> None:
        self._changed, self._count = threading.Condition(), 0


_MAKING = _Making()
