"""Reading and writing an open file at a place; Windows does it in two steps, so that there one thread has the file."""

import os

from .locks import POSIX


def read_at(handle: int, size: int, offset: int) -> bytes:
    """Up to ``size`` bytes from ``offset`` on."""
    if POSIX:
        return os.pread(handle, size, offset)
    os.lseek(handle, offset, os.SEEK_SET)
    return os.read(handle, size)


def write_at(handle: int, content: bytes, offset: int) -> None:
    """Write all of ``content`` from ``offset`` on; OSError where the system takes no more."""
    left = memoryview(content)
    while left:
        if POSIX:
            written = os.pwrite(handle, left, offset)
        else:
            os.lseek(handle, offset, os.SEEK_SET)
            written = os.write(handle, left)
        left, offset = left[written:], offset + written
