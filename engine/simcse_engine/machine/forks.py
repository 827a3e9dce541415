"""Forks: what our objects do before and after one. The one place that registers with the interpreter.

Threads, and locks that other threads held, do not come along into a forked child. An object that has any of them is a
`ForkAware` and calls `register`. Around every fork, hooks run in the order of `ORDER` (docs/decisions/010-forks.md).
"""

import contextlib
import ctypes
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, Self

# Hooks after a fork run in this order, those before it in the reverse: an index stands on its lock, its store and its
# encoder, so it comes after them, and so does a batcher; all that makes sessions stands on the runtime.
ORDER = ("runtime", "encoder", "batcher", "store", "lock", "index")


class ForkAware:
    """An object with hooks around forks; each does nothing unless it is overridden."""

    def _before_fork(self) -> None:
        """Prepare, in the process and the thread that forks. `_after_fork_in_parent` follows, even if this raises."""

    def _after_fork_in_parent(self) -> None:
        """Undo what `_before_fork` did."""

    def _after_fork_in_child(self) -> None:
        """Replace what the child does not have."""


_members: dict[str, weakref.WeakValueDictionary[int, ForkAware]] = {
    place: weakref.WeakValueDictionary() for place in ORDER
}


# `members`: the objects whose `_before_fork` ran. Each thread has its own, as two may fork at once.
_prepared = threading.local()


def register(place: str, member: ForkAware) -> None:
    """Run the hooks of ``member`` around every fork for as long as it lives; ``place`` is one of `ORDER`."""
    _members[place][id(member)] = member


_increase_references = ctypes.pythonapi.Py_IncRef
_increase_references.argtypes = [ctypes.py_object]


def never_destroy(thing: object, _increase_references: Callable[[object], object] = _increase_references) -> None:
    """Keep ``thing`` from ever being destroyed, even when the interpreter ends.

    For what a forked child has inherited and cannot end, such as a connection that its parent goes on using.
    """
    # A reference that nobody gives back.
    _increase_references(thing)


class ProcessBound:
    """What only the process that made it may destroy, such as a session, whose destructor waits for its threads.

    In a forked child such an object stays for ever, and all that it holds, whoever lets go of it: an owner that was
    half built, an exception's traceback, another thread's stack. That needs no hook, as the first of them go before any
    hook runs.
    """

    _process: int

    def __new__(cls, *_: Any, **__: Any) -> Self:  # noqa: D102
        # Not in `__init__`, which may fail when there is something to destroy already.
        self = super().__new__(cls)
        self._process = os.getpid()
        return self

    # As defaults, since a module's names may be gone when the interpreter ends.
    def __del__(
        self, _getpid: Callable[[], int] = os.getpid, _never_destroy: Callable[[object], None] = never_destroy
    ) -> None:
        if self._process != _getpid():
            _never_destroy(self)


def only_here(function: Callable[..., object]) -> Callable[..., object]:
    """``function`` as a finalizer of what belongs to this process: in a forked child it does nothing."""
    process = os.getpid()
    return lambda *arguments: function(*arguments) if os.getpid() == process else None


def _living(place: str) -> list[ForkAware]:
    """The members of a place in one order, so that two threads that fork do not wait for each other."""
    # valuerefs copies in one step: other threads may register meanwhile.
    members = [member for reference in _members[place].valuerefs() if (member := reference()) is not None]
    return sorted(members, key=id)


def _before_fork() -> None:
    _prepared.members = []
    for place in reversed(ORDER):
        for member in _living(place):
            try:
                member._before_fork()
            finally:
                # Interrupted while it waits, it may hold its lock all the same.
                _prepared.members.append(member)


def _after_fork_in_parent() -> None:
    # The stack runs the last callback first, and every one of them whatever another raises.
    with contextlib.ExitStack() as stack:
        for member in _prepared.members:
            stack.callback(member._after_fork_in_parent)
    _prepared.members = []


def _after_fork_in_child() -> None:
    with contextlib.ExitStack() as stack:
        for place in reversed(ORDER):
            for member in _living(place):
                stack.callback(member._after_fork_in_child)
    _prepared.members = []


# Windows does not fork.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
