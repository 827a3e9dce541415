"""One writer at a time: a lock that the system drops when its holder dies, and that tells who holds it."""

import contextlib
import datetime
import json
import os
import socket
import time
from pathlib import Path
from typing import Self

from ...errors import IndexLockedError, OutputError
from ...files.handles import read_at, write_at
from ...files.locks import give_up, take
from ...machine.forks import ForkAware, register
from .regular import open_regular

LOCK = "lock"
# How long a writer waits for readers that hold writers off, and looks for them again.
_READERS_SECONDS, _PAUSE_SECONDS = 30.0, 0.02


class WriterLock(ForkAware):
    """The right to write a folder, held until `release` or the process's death.

    >>> lock = WriterLock(folder / "lock")
    >>> WriterLock(folder / "lock")
    IndexLockedError: index/lock: process 4711 on castor has it open for writing since 2026-01-31T12:00:00+00:00; …

    A forked child does not hold it: see `held`.
    """

    def __init__(self, path: Path) -> None:
        """Take the lock on the file at ``path``, which is made; IndexLockedError if another writer holds it."""
        try:
            handle = open_regular(path, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise OutputError(f"{path}: cannot be written ({error.strerror}); reading needs no lock") from error
        self._handle: int | None = handle
        # Before the lock is taken, so that no child keeps it.
        register("lock", self)
        try:
            _lock(handle)
        except BlockingIOError as error:
            holder = _holder(handle)
            self._close()
            raise IndexLockedError(
                f"{path}: {holder}; close it there first; readers need no lock, and see what it adds"
            ) from error
        except OSError as error:
            self._close()
            raise OutputError(f"{path}: cannot be locked ({error.strerror}); use a file system with locks") from error
        since = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        holder = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since})
        # For people alone: the lock holds without the text, so a full disk does not matter.
        with contextlib.suppress(OSError):
            os.ftruncate(handle, 0)
            write_at(handle, holder.encode(), 0)

    @property
    def held(self) -> bool:
        """Whether this process may write."""
        return self._handle is not None

    def release(self) -> None:
        """Let others write. Releasing twice is fine."""
        if self._handle is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._handle, 0)
            # Explicitly: a child that was forked just now may still have its copy of the handle open.
            give_up(self._handle)
            self._close()

    def _close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _after_fork_in_child(self) -> None:
        # The child's copy of the handle would hold the lock beyond the parent's end. Closing it leaves the parent's.
        self._close()


class WritersHeldOff:
    """Keeps writers off for the time of a read, which finds none."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    @classmethod
    def now(cls, path: Path) -> Self | None:
        """Hold writers off by their lock at ``path``; None if there is a writer, or no lock can be taken."""
        try:
            handle = open_regular(path)
        except OSError:
            return None
        try:
            take(handle, shared=True)
        except OSError:
            os.close(handle)
            return None
        return cls(handle)

    def release(self) -> None:
        """Let writers in."""
        os.close(self._handle)


def _lock(handle: int) -> None:
    """Take a writer's lock, after the readers that hold writers off; BlockingIOError if a writer has it."""
    end = time.monotonic() + _READERS_SECONDS
    while True:
        try:
            take(handle)
            return
        except BlockingIOError:
            # Readers share it, a writer does not.
            take(handle, shared=True)
            give_up(handle)
            if time.monotonic() > end:
                raise
        time.sleep(_PAUSE_SECONDS)


def _holder(handle: int) -> str:
    try:
        holder = json.loads(read_at(handle, 4096, 0))
        text = f"process {holder['pid']} on {holder['host']} has it open for writing since {holder['since']}"
        return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
    except (OSError, ValueError, KeyError, TypeError):
        return "another process has it open for writing"
