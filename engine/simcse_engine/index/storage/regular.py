"""Opening an index's files: regular ones alone, and no links.

A folder may come from elsewhere. A pipe in a file's place would keep its reader waiting for ever, and a link would lead
a writer to a file outside.
"""

import os
import stat
from pathlib import Path

from ...errors import IndexDamagedError

# Without O_NONBLOCK, opening a pipe waits for its other end. Windows has neither, and without O_BINARY reads and writes
# other bytes.
_FLAGS = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))

_KINDS = (
    (stat.S_ISLNK, "a link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
)


def open_regular(path: Path, flags: int = os.O_RDONLY) -> int:
    """Open one of an index's files and return its descriptor; ``flags`` are those of `os.open`.

    Raises:
        IndexDamagedError: it is a link, a folder, a pipe or a device.
        OSError: the system refuses.
    """
    if not hasattr(os, "O_NOFOLLOW"):
        check_regular(path)
    try:
        handle = os.open(path, flags | _FLAGS, 0o666)
    except OSError:
        check_regular(path)
        raise
    try:
        _check(path, os.fstat(handle).st_mode)
    except BaseException:
        os.close(handle)
        raise
    return handle


def check_regular(path: Path) -> None:
    """Raise as `open_regular` does for what a library opens by its name; what does not exist passes."""
    try:
        mode = path.lstat().st_mode
    except OSError:  # what opens it will say more
        return
    _check(path, mode)


def _check(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "a device")
        raise IndexDamagedError(f"{path}: is {kind}; an index reads and writes regular files alone, put the file there")
