"""Staging: a hidden sibling of a target, locked while its writer lives, so that the next can tell what is abandoned.

The lock is on the sibling itself. Windows renames and removes nothing that is open, and opens no folders: there it is
on a file beside the sibling.
"""

import contextlib
import glob
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from .locks import POSIX, take
from .refusals import as_output_error

_SUFFIX = ".partial-"
_LOCK = "" if POSIX else ".lock"


@contextlib.contextmanager
def staged(target: Path, *, folder: bool) -> Iterator[Path]:
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
        _close(staging, lock)


def _stage(target: Path, *, folder: bool) -> tuple[Path, int]:
    """Make a hidden sibling of ``target``; its path, and the open file that holds the lock on it.

    The lock tells a living writer's work from a killed one's: the system releases it when a process ends.
    """
    while True:
        path = target.with_name(f".{target.name}{_SUFFIX}{os.urandom(4).hex()}")
        locked = _locked(path)
        try:
            # The system takes the umask off these permissions. To read it, this process would have to set it, under the
            # hands of other threads.
            if folder and POSIX:
                path.mkdir(0o777)
            else:
                lock = os.open(locked, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:  # another writer has the name
            continue
        if folder and POSIX:
            try:
                lock = os.open(path, os.O_RDONLY)
            except FileNotFoundError:  # another writer has removed it as abandoned
                continue
        # Network file systems may refuse locks; then no lock can be taken, and nothing counts as abandoned.
        with contextlib.suppress(OSError):
            take(lock, wait=True)
        # Before it was locked, another writer may have removed it as abandoned.
        if not locked.exists():
            os.close(lock)
            continue
        if not POSIX:
            try:
                path.mkdir() if folder else path.touch(exist_ok=False)
            except BaseException:
                _close(path, lock)
                raise
        return path, lock


def _remove_abandoned(target: Path) -> None:
    """Remove what killed writers of ``target`` left behind: partial outputs without a lock."""
    # Without O_NONBLOCK, a pipe of such a name would wait for a writer.
    flags = os.O_RDONLY | os.O_NONBLOCK if POSIX else os.O_RDWR
    for locked in target.parent.glob(f".{glob.escape(target.name)}{_SUFFIX}*{_LOCK}"):
        path = locked.with_name(locked.name.removesuffix(_LOCK))
        with contextlib.suppress(OSError):
            handle = os.open(locked, flags)
            try:
                take(handle)
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=not POSIX)
            except BaseException:
                os.close(handle)
                raise
            _close(path, handle)


def _locked(path: Path) -> Path:
    """What the lock of a staging is on."""
    return path.with_name(path.name + _LOCK)


def _close(path: Path, lock: int) -> None:
    """End the lock of a staging."""
    os.close(lock)
    if not POSIX:
        with contextlib.suppress(OSError):  # whoever looks for abandoned ones has it open
            _locked(path).unlink()
