"""Files and folders that appear whole or not at all.

A hidden sibling of the target (on the same file system, so that a rename is atomic) is written, flushed to disk, and
takes the target's name at the very end. Any interruption (an error, Ctrl-C, a full disk, ``kill -9``) leaves the target
as it was. The next writer of the target removes what a killed one left behind. See
docs/decisions/011-publishing-files.md.
"""

import contextlib
import ctypes
import errno
import fcntl
import glob
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import OutputError
from ..wording import Wording
from .refusals import NO_ROOM, as_output_error

_SUFFIX = ".partial-"


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
    with _staged(target, folder=True) as staging:
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
    with _staged(target, folder=False) as staging:
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


@contextlib.contextmanager
def _staged(target: Path, *, folder: bool) -> Iterator[Path]:
    """Yield a hidden sibling of ``target``, of which nothing is left when the block ends."""
    with as_output_error(target):
        _remove_abandoned(target)
        staging, lock = _stage(target, folder=folder)
    try:
        yield staging
    finally:
        # A folder after an exchange is the replaced one. What was renamed no longer exists.
        if folder:
            shutil.rmtree(staging, ignore_errors=True)
        else:
            staging.unlink(missing_ok=True)
        os.close(lock)


def _stage(target: Path, *, folder: bool) -> tuple[Path, int]:
    """Make a hidden sibling of ``target``; its path, and the open file that holds the lock on it.

    The lock tells a living writer's work from a killed one's: the system releases it when a process ends.
    """
    while True:
        path = target.with_name(f".{target.name}{_SUFFIX}{os.urandom(4).hex()}")
        try:
            # The system takes the umask off these permissions. To read it, this process would have to set it, under the
            # hands of other threads.
            if folder:
                path.mkdir(0o777)
            else:
                lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:  # another writer has the name
            continue
        if folder:
            try:
                lock = os.open(path, os.O_RDONLY)
            except FileNotFoundError:  # another writer has removed it as abandoned
                continue
        # Network file systems may refuse locks; then no lock can be taken, and nothing counts as abandoned.
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        # Before it was locked, another writer may have removed it as abandoned.
        if path.exists():
            return path, lock
        os.close(lock)


def _remove_abandoned(target: Path) -> None:
    """Remove what killed writers of ``target`` left behind: partial outputs without a lock."""
    for path in target.parent.glob(f".{glob.escape(target.name)}{_SUFFIX}*"):
        with contextlib.suppress(OSError):
            handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe of such a name would wait for a writer
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
            finally:
                os.close(handle)


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
