"""Opening files to read: decompressed, from pipes too, and with errors that say what a file is instead."""

import io
import os
import stat
import sys
from pathlib import Path
from typing import BinaryIO

from ..errors import InputValueError
from .compressed import content_name, decompressed
from .kinds import HEAD_BYTES, other_kind
from .refusals import unreadable

STDIN = "-"
_BUFFER_BYTES = 1 << 16


class InputFile(io.BufferedReader):
    """The bytes of a file, from its first to its last.

    Attributes:
        total: its size on disk; None for what has none, such as a pipe.
    """

    def __init__(self, path: Path, handle: int) -> None:
        """Read the file that is open under ``handle``."""
        self._disk = io.FileIO(handle)
        self.total = size_of(self._disk)
        try:
            content = decompressed(self._disk, path)
            super().__init__(content or self._disk, _BUFFER_BYTES)
        except BaseException:
            self._disk.close()
            raise

    @property
    def position(self) -> int:
        """How many bytes of `total` have been read; all of them once the file is closed."""
        if self.total is None:
            return 0
        return self.total if self._disk.closed else self._disk.tell()

    def close(self) -> None:
        """Close the file."""
        super().close()
        self._disk.close()


def size_of(file: io.IOBase | BinaryIO) -> int | None:
    """The size of an open file; None for what has none, such as a pipe."""
    try:
        status = os.fstat(file.fileno())
    except OSError:  # a stream that is no file
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def suffix_of(source: str | os.PathLike[str]) -> str:
    """The suffix that tells a file's format, without that of its compression; none for stdin.

    >>> suffix_of("talks.JSONL.gz")
    '.jsonl'
    """
    return "" if source == STDIN else content_name(Path(source)).suffix.lower()


def open_input(path: Path) -> InputFile:
    """Open a file of text to read it once, be it a pipe.

    Raises:
        InputValueError: it cannot be opened, or its first bytes say that it is no text.
    """
    file = InputFile(path, _open(path))
    try:
        # What is written into a pipe may come late: it is looked at when it is read.
        kind = other_kind(file.peek(HEAD_BYTES)[:HEAD_BYTES]) if file.total is not None else None
        if kind is not None:
            raise InputValueError(f"{path}: {kind}")
    except BaseException:
        file.close()
        raise
    return file


def open_whole(path: Path, needs: str) -> InputFile:
    """Open a file that is read at any place, not only from its beginning on; ``needs`` says which files are.

    Raises:
        InputValueError: it cannot be opened, is compressed, or is a pipe.
    """
    check_whole(path, needs)
    return InputFile(path, _open(path))


def check_whole(path: Path, needs: str) -> None:
    """Raise InputValueError, as `open_whole` does, for what a library opens by its name."""
    if content_name(path) != path:
        raise InputValueError(f"{path}: {needs} is read at any place, not only from its beginning on; decompress it")
    check_no_pipe(path, f"{needs} is read at any place, not only from its beginning on")


def check_no_pipe(path: Path, reason: str) -> None:
    """Raise InputValueError, with the reason, for a pipe or a device; what does not exist passes."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # what opens it says more
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise InputValueError(f"{path}: is a pipe or a device, and {reason}; name a file")


def open_stdin() -> BinaryIO:
    """Stdin's bytes; InputValueError if it is closed."""
    if sys.stdin is None or sys.stdin.closed:
        raise InputValueError("stdin is closed; name a file of texts")
    if sys.stdin.isatty():
        print("reading texts from the terminal, one per line; Ctrl-D ends them", file=sys.stderr)
    return sys.stdin.buffer


def _open(path: Path) -> int:
    try:
        if path.is_dir():
            raise InputValueError(f"{path}: is a folder; name a file")
        return os.open(path, os.O_RDONLY)
    except FileNotFoundError as error:
        raise InputValueError(f"{path}: no such file") from error
    except OSError as error:
        raise unreadable(path, error, InputValueError) from error
    except ValueError as error:  # a NUL, or what no file system can spell
        if isinstance(error, InputValueError):
            raise
        raise InputValueError(f"{str(path)!r:.80}: is no path ({error})") from error
