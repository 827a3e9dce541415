"""Files and folders that appear whole or not at all.

A hidden sibling of the target (on the same file system, so that a rename is atomic) is written, flushed to disk, and
takes the target's name at the very end. Any interruption (an error, Ctrl-C, a full disk, ``kill -9``) leaves the target
as it was. The next writer of the target removes what a killed one left behind. See
docs/decisions/011-publishing-files.md.
"""

import contextlib
import ctypes
import errno
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import OutputError
from ..wording import Wording
from .locks import POSIX
from .refusals import NO_ROOM, as_output_error
from .staging import staged


@contextlib.contextmanager
def whole_folder(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """Yield an empty folder that becomes ``target``, whose parents are made, when the block ends without an error.

    A folder that exists there is replaced with ``replace``; without it, one that is not empty raises OutputError.
    """
    check_absent(target, replace=replace)
    # A link stays, and its target is replaced; "." gets a name and a parent.
    target = target.resolve()
    with as_output_error(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    with staged(target, folder=True) as staging:
        with as_output_error(target, NO_ROOM):
            yield staging
        with as_output_error(target):
            # Some writers create private files; all get what the umask has left the folder.
            permissions = staging.stat().st_mode & 0o666
            for path in staging.iterdir():
                path.chmod(permissions)
                _fsync(path)
            _fsync(staging)
            check_absent(target, replace=replace)
            if target.exists():
                _exchange(staging, target)
            else:
                staging.rename(target)
            _fsync(target.parent)


@contextlib.contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """Yield a path to write to that becomes ``target``, replacing a file, when the block ends without an error."""
    check_replaceable(target)
    target = target.resolve()
    with staged(target, folder=False) as staging:
        with as_output_error(target, NO_ROOM):
            yield staging
        with as_output_error(target):
            _fsync(staging)
            staging.replace(target)
            _fsync(target.parent)


def check_replaceable(target: Path) -> None:
    """Raise OutputError where ``whole_file`` would, since only a file can be replaced."""
    if target.is_dir():
        raise OutputError(f"{target}: is a folder; name a file")
    if target.exists() and not target.is_file():
        # Root could replace /dev/null for the whole machine.
        raise OutputError(f"{target}: is a device or a pipe; name a file")


def check_absent(target: Path, *, replace: bool, advice: Sequence[str | Wording] = ("choose another name",)) -> None:
    """Raise OutputError where ``whole_folder`` would, so that a caller can ask before hours of work."""
    if not os.path.lexists(target):
        return
    if not target.is_dir():
        raise OutputError(f"{target}: exists and is not a folder")
    with as_output_error(target):
        if not replace and any(target.iterdir()):
            raise OutputError(f"{target}: exists already; ", *advice)


def _exchange(new: Path, old: Path) -> None:
    """Swap the names of two folders, in one step where the system can."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        # renameat2(2): Linux 3.15, glibc 2.28. musl and older systems take the two steps below.
        if hasattr(libc, "renameat2"):
            at_fdcwd, rename_exchange = -100, 2
            if libc.renameat2(at_fdcwd, os.fsencode(new), at_fdcwd, os.fsencode(old), rename_exchange) == 0:
                return
            if ctypes.get_errno() not in (errno.EINVAL, errno.ENOSYS):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(old))
    aside = new.with_name(new.name + "-old")
    old.rename(aside)
    try:
        new.rename(old)
    except BaseException:
        aside.rename(old)
        raise
    aside.rename(new)


def _fsync(path: Path) -> None:
    """Write a file or folder to the disk; Windows does so with what is open for writing, and so with no folder."""
    if not POSIX and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY if POSIX else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
