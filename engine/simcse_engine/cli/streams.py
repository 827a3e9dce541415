"""The standard streams in whatever state they come: closed (`>&-`), on a full disk, or a pipe whose reader has gone."""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from typing import IO

from ..errors import OutputError
from ..wording import Worded


def open_streams() -> None:
    """Stand in for streams that came closed: stdin is empty, stdout refuses what is written, stderr swallows it.

    The descriptors 0 to 2 are filled. Otherwise the next file to be opened would take the number of one, and with it
    what libraries print there.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number, which is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stdout is None:
        sys.stdout = open(os.open(os.devnull, os.O_RDONLY), "w")  # noqa: PTH123, SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115


@contextlib.contextmanager
def writing_stdout() -> Iterator[None]:
    """Turn a refusal of stdout within the block into OutputError; BrokenPipeError, a reader that has gone, passes."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        problem = "is closed" if error.errno == errno.EBADF else f"cannot be written ({error.strerror})"
        raise OutputError(f"stdout {problem}") from error


def print_out(text: str, *, styled: bool = False) -> None:
    """Print to stdout, `escaped` unless it is ``styled`` with codes of ours; OutputError if it cannot be written."""
    with writing_stdout():
        print(text if styled else escaped(text))


def escaped(text: str) -> str:
    r"""A text whose control characters, which a terminal obeys, are escaped, such as those of a file; \n stays."""
    return "\n".join(
        line if line.isprintable() else "".join(c if c.isprintable() else _escape(c) for c in line)
        for line in text.split("\n")
    )


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def message_of(error: object) -> str:
    """An error's or warning's message in the command line's words, if it has any."""
    return error.on_command_line() if isinstance(error, Worded) else str(error)


def write_out(content: bytes) -> None:
    """Write to stdout at once; OutputError if it cannot be written."""
    left = memoryview(content)
    with writing_stdout():
        while left:
            # With PYTHONUNBUFFERED nothing is in between, and the system may take a part.
            left = left[sys.stdout.buffer.write(left) or 0 :]
        sys.stdout.buffer.flush()


def print_message(line: str) -> None:
    """Print to stderr, `escaped`, if it can be written: nobody could be told that it cannot."""
    try:
        print(escaped(line), file=sys.stderr, flush=True)
    except OSError:
        drop(sys.stderr)


def flush_stdout() -> None:
    """Write what stdout still holds; OutputError if it cannot be written."""
    with writing_stdout():
        sys.stdout.flush()


def settle() -> None:
    """Flush what is left, and drop what cannot be written, over which the interpreter would fail at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            drop(stream)


def drop(stream: IO[str]) -> None:
    """Let what a stream still holds, and whatever follows, go nowhere."""
    with contextlib.suppress(OSError, ValueError):  # a stream without a descriptor
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
