"""Locks on open files, which the system drops when their holder's process ends: of one holder, or shared by many.

POSIX has them as flock, which holds up nobody who asks for no lock. Windows locks a range of bytes, for one holder
alone, and lets nobody else read or write them. So there a lock is of bytes far behind every file's end: of all
`_SEATS`, or of any one of them where it is shared. That half is written from the documentation, and never ran there.
"""

import contextlib
import errno
import os
import time

try:
    import fcntl
except ImportError:  # Windows
    import msvcrt

    POSIX = False
else:
    # Whether folders can be opened, and so locked and flushed, and what is open be renamed and removed.
    POSIX = True

_SEATS, _OFFSET = 64, 1 << 40
_ALL_SEATS = (_OFFSET, _SEATS)
_EACH_SEAT = tuple((_OFFSET + number, 1) for number in range(_SEATS))
_PAUSE_SECONDS = 0.02


def take(handle: int, *, shared: bool = False, wait: bool = False) -> None:
    """Lock an open file, once others' locks allow it with ``wait``, or at once.

    Raises:
        BlockingIOError: another's lock does not allow it.
        OSError: no lock can be had, as on some network file systems.
    """
    if POSIX:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
        return
    while not _took_seats(handle, shared=shared):
        if not wait:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        time.sleep(_PAUSE_SECONDS)


def give_up(handle: int) -> None:
    """Unlock an open file, also where a forked child has it open too, and closing it would not."""
    if POSIX:
        fcntl.flock(handle, fcntl.LOCK_UN)
        return
    for first, count in (_ALL_SEATS, *_EACH_SEAT):
        with contextlib.suppress(OSError):  # not what this file has locked
            _locking(handle, msvcrt.LK_UNLCK, first, count)  # type: ignore[attr-defined]


def _took_seats(handle: int, *, shared: bool) -> bool:
    for first, count in _EACH_SEAT if shared else (_ALL_SEATS,):
        with contextlib.suppress(PermissionError):  # somebody has it
            _locking(handle, msvcrt.LK_NBLCK, first, count)  # type: ignore[attr-defined]
            return True
    return False


def _locking(handle: int, mode: int, first: int, count: int) -> None:
    os.lseek(handle, first, os.SEEK_SET)
    msvcrt.locking(handle, mode, count)  # type: ignore[attr-defined]
