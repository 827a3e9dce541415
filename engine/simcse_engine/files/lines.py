"""Lines of UTF-8: plain ones, with or without their ends, and lines of JSON."""

import functools
import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from ..errors import InputValueError
from .kinds import other_kind

_BOM = b"\xef\xbb\xbf"
# A longer line is no text: it is read no further, so that a few compressed bytes cannot fill the memory.
_MAX_BYTES = 1 << 28


def plain_lines(file: BinaryIO, name: str) -> Iterator[str]:
    """Yield the lines of a UTF-8 file without their ends; InputValueError, with the line's number, where it is not."""
    return _lines(file, name, ends=False)


def whole_lines(file: BinaryIO, name: str) -> Iterator[str]:
    """Yield the lines of a UTF-8 file with their ends; errors as for `plain_lines`."""
    return _lines(file, name, ends=True)


def _lines(file: BinaryIO, name: str, *, ends: bool) -> Iterator[str]:
    # In a binary file a line ends at "\n" alone; in a text file it would end at a lone "\r" too.
    for number, line in enumerate(iter(functools.partial(file.readline, _MAX_BYTES + 1), b""), 1):
        if len(line) > _MAX_BYTES:
            raise InputValueError(f"{name}, line {number}: longer than {_MAX_BYTES >> 20} MB; expected a text per line")
        if number == 1:
            line = line.removeprefix(_BOM)
            if not line:  # a byte order mark and nothing else: no line
                return
        try:
            yield line.decode() if ends else line.removesuffix(b"\n").removesuffix(b"\r").decode()
        except UnicodeDecodeError as error:
            kind = other_kind(line) if number == 1 else None
            if kind is not None:
                raise InputValueError(f"{name}: {kind}") from error
            raise InputValueError(
                f"{name}, line {number}: not UTF-8 (byte 0x{line[error.start]:02x} at byte {error.start + 1} of the "
                "line); convert the file, as with iconv -t UTF-8 -f ITS_ENCODING"
            ) from error


def json_lines(file: BinaryIO, name: str) -> Iterator[tuple[str, Any]]:
    """Parse a file of JSON lines: each line's place for messages, such as "texts.jsonl, line 3", and its value."""
    for number, line in enumerate(plain_lines(file, name), 1):
        place = f"{name}, line {number}"
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputValueError(f"{place}: not JSON ({error.msg} at column {error.colno})") from error
        except (ValueError, RecursionError) as error:  # numbers too long, nesting too deep
            raise InputValueError(f"{place}: not JSON ({error})") from error
        yield place, value
