"""Limits: how many files, threads and bytes of memory this process may have, and errors that say which ran out.

Each library says in its own way that it got no more. `naming_limits` stands around what callers call, and looks for
that in an error and its causes.
"""

import _thread
import contextlib
import errno
import os
import time
from pathlib import Path
from types import TracebackType

from ..errors import LimitError, SimCSEError
from ..wording import Wording
from .cgroups import least_allowed

try:
    # At once: where files ran out, it could not be loaded.
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

Message = tuple[str | Wording, ...]

# What libraries say in the text of an error that has no code: first of those that also mean the second.
_MEMORY_WORDS = ("cannot allocate memory", "failed to allocate memory", "bad_alloc", "bad allocation", "out of memory")
_THREAD_WORDS = ("can't start new thread", "pthread_create failed", "resource temporarily unavailable")
# The loader's reserve for libraries, which is no limit of the process.
_NO_MEMORY_WORDS = "static tls block"
_FILE_WORDS = ("too many open files", f"system error number {errno.EMFILE}")
_ONE_THREAD = Wording("threads=1", "--threads 1")
# How long threads that have ended are waited for.
_MOST_PAUSES, _PAUSE_SECONDS = 200, 0.0001
# From here on a group's limit of version 1 stands for none.
_UNLIMITED_BYTES = 1 << 60


class _NamingLimits(contextlib.ContextDecorator):
    """Raises LimitError in place of an error that came of a reached limit; a block or a decorator."""

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Look at the error, if there is one."""
        if error is not None and not isinstance(error, LimitError):
            limit = limit_error(error)
            if limit is not None:
                raise limit from error


naming_limits = _NamingLimits()


def limit_error(error: BaseException) -> LimitError | None:
    """The error that names the limit which an error, or a cause of it, came of; None where it came of none."""
    cause: BaseException | None = error
    while cause is not None:
        message = _message(cause)
        if message is not None:
            return LimitError(*message)
        cause = cause.__cause__
    return None


def _message(error: BaseException) -> Message | None:
    if isinstance(error, SimCSEError):
        return None  # its text may quote a user's
    if isinstance(error, MemoryError):
        return _memory_message(f" ({error})" if str(error) else "")
    if isinstance(error, OSError):
        if error.errno == errno.ENOMEM:
            return _memory_message()
        if error.errno in (errno.EMFILE, errno.ENFILE):
            return _files_message(error.filename, everywhere=error.errno == errno.ENFILE)
        return None
    text = str(error).lower()
    if any(words in text for words in _MEMORY_WORDS) and _NO_MEMORY_WORDS not in text:
        # The runtime says the same of both.
        return _memory_message(" (of this process, or of the GPU if it runs on one)")
    if any(words in text for words in _THREAD_WORDS):
        return _threads_message()
    if any(words in text for words in _FILE_WORDS):
        return _files_message()
    return None


def _files_message(name: object = None, *, everywhere: bool = False) -> Message:
    of_what = "" if name is None else f" ({name})"
    if everywhere:
        return (f"no more files can be opened{of_what}: the whole system has as many as it may (sysctl fs.file-max)",)
    allowed = soft_limit("RLIMIT_NOFILE")
    limit = "" if allowed is None else f": this process may have {allowed:,} open at once (ulimit -n); raise that, or"
    return (f"no more files can be opened{of_what}{limit or ';'} close encoders and indexes that are not in use",)


def _threads_message() -> Message:
    processes, group = soft_limit("RLIMIT_NPROC"), least_allowed("pids", ("pids.max", "pids.max"))
    limits = [f"this user may have {processes:,} processes and threads (ulimit -u)"] if processes is not None else []
    limits += [f"this container {group:,} (pids.max)"] if group is not None else []
    # Each has a stack.
    limits += _memory_limits() if not limits or soft_limit("RLIMIT_AS") is not None else []
    return (f"no more threads can be started: {', '.join(limits)}; raise that, or use fewer, as with ", _ONE_THREAD)


def _memory_message(of_what: str = "") -> Message:
    limits = ", ".join(_memory_limits())
    return (
        f"memory ran out{of_what}: {limits}; raise that, hand over fewer or shorter texts at once, or use ",
        _ONE_THREAD,
    )


def _memory_limits() -> list[str]:
    """What bounds this process's memory, in words; at least the machine's."""
    limits = [
        f"this process may have {size / 1e6:,.0f} MB of {what}"
        for which, what in (("RLIMIT_AS", "addresses (ulimit -v)"), ("RLIMIT_DATA", "data (ulimit -d)"))
        if (size := soft_limit(which)) is not None
    ]
    group = least_allowed("memory", ("memory.limit_in_bytes", "memory.max"))
    if group is not None and group < _UNLIMITED_BYTES:
        limits.append(f"this container {group / 1e6:,.0f} MB")
    if not limits and not hasattr(os, "sysconf"):
        return ["this machine has no more"]
    return limits or [f"this machine has {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e6:,.0f} MB"]


def soft_limit(name: str) -> int | None:
    """The limit that holds now, such as that of "RLIMIT_AS"; None where there is none."""
    if resource is None:
        return None
    limit, _ = resource.getrlimit(getattr(resource, name))
    return None if limit == resource.RLIM_INFINITY else limit


def check_threads(count: int) -> None:
    """Raise RuntimeError where so many threads cannot run at once: some libraries hang there, or end the process."""
    before, end = _running(), _thread.allocate_lock()
    with end:
        for _ in range(count - 1):
            _thread.start_new_thread(_wait, (end,))
    # They count until the system has seen their end, which is near.
    for _ in range(_MOST_PAUSES):
        if _running() <= before:
            break
        time.sleep(_PAUSE_SECONDS)


def _wait(end: "_thread.LockType") -> None:
    with end:
        pass


def _running() -> int:
    """How many threads this process has, as the system counts them; 0 where it does not tell."""
    try:
        return len(list(Path("/proc/self/task").iterdir()))
    except OSError:
        return 0
