"""Refusals: what the system answers to who would read or write a file, as errors of ours that say which it was."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from ..errors import DiskFullError, OutputError, SimCSEError
from ..machine.limits import limit_error, soft_limit
from .handles import write_at
from .locks import POSIX

_FULL = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up"}
# What the system says of writing, of all that a block may raise: the rest may be about other files.
NO_ROOM = frozenset({*_FULL, errno.EFBIG})
UNWRITABLE = NO_ROOM | {errno.EACCES, errno.EPERM, errno.EROFS}
# As much as SQLite asks for at once.
_PROBE_BYTES = 32 << 10


def unwritable(path: Path, error: OSError, consequence: str = "nothing there was changed") -> SimCSEError:
    """The error that says why ``path`` cannot be written, and what follows."""
    limit = limit_error(error)
    if limit is not None:
        return limit
    if error.errno in _FULL:
        return DiskFullError(f"{path}: {_FULL[error.errno]}; {consequence}")
    if error.errno == errno.EFBIG:
        allowed = soft_limit("RLIMIT_FSIZE")
        of_what = "this file system's" if allowed is None else f"this process's {allowed:,} bytes"
        return OutputError(f"{path}: would grow beyond {of_what} for a file (ulimit -f); {consequence}")
    return OutputError(f"{path}: cannot be written ({error.strerror}); {consequence}")


def unreadable(path: Path, error: OSError, kind: type[SimCSEError]) -> SimCSEError:
    """The error, a `LimitError` or of a ``kind``, that says why ``path`` cannot be read."""
    return limit_error(error) or kind(f"{path}: cannot be read ({error.strerror})")


@contextlib.contextmanager
def as_unreadable(path: Path, kind: type[SimCSEError]) -> Iterator[None]:
    """Turn the system's refusals to read ``path`` into errors of a ``kind``; FileNotFoundError passes."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise unreadable(path, error, kind) from error


@contextlib.contextmanager
def as_output_error(path: Path, errors: frozenset[int] | None = None) -> Iterator[None]:
    """Turn the system's refusals to write ``path``, all or those in ``errors``, into errors of ours."""
    try:
        yield
    except OSError as error:
        if errors is not None and error.errno not in errors:
            raise
        raise unwritable(path, error) from error


def read_refusal(path: Path) -> OSError | None:
    """What the system answers now to who opens a file; None if it lets them.

    The file itself stays closed: to close it would drop the locks that SQLite has on it in this process.
    """
    try:
        path.stat()
        with contextlib.ExitStack() as opened:
            for _ in range(3 if POSIX else 0):  # as many as SQLite opens: the database, its log and what is shared
                opened.callback(os.close, os.open(path.parent, os.O_RDONLY))
        if not os.access(path, os.R_OK):
            return PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        return error
    return None


def write_refusal(path: Path) -> OSError | None:
    """What the system answers to who writes a little more into a file as large as ``path``; None if it lets them."""
    import tempfile  # lazily: it takes 2 ms that whoever is refused nothing need not pay

    try:
        with tempfile.TemporaryFile(dir=path.parent) as file:
            start = path.stat().st_size if path.exists() else 0
            write_at(file.fileno(), bytes(_PROBE_BYTES), start)
    except OSError as error:
        return error
    return None
