"""Text files, read one text at a time: plain lines, `.jsonl` and `.parquet`; and JSON lines with anything in them.

Nothing is skipped, so that row n of an output belongs to row n of the input: a line that is no text stops the work,
and the error has its number.
"""

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import InputValueError
from .arrow import parquet_texts

STDIN = "-"
_BOM = b"\xef\xbb\xbf"


@contextlib.contextmanager
def open_texts(source: str) -> Iterator[Iterator[str]]:
    r"""Open a file of texts; they are read as the iterator advances, and the file is closed with the block.

    Args:
        source: a path, or "-" for plain lines on stdin. `.jsonl` has a JSON string per line, or an object with a string
            under "text"; `.parquet` has a column "text"; any other file is UTF-8 with one text per line. Lines end with
            "\n" or "\r\n" and with nothing else, and an empty line is the empty text.

    Raises:
        InputValueError: at once if the file cannot be opened, and later, with the line's number, for a line that is
            no text.
    """
    if source == STDIN:
        yield plain_lines(_stdin(), "stdin")
        return
    path = Path(source)
    reader = {".jsonl": _json_texts, ".parquet": parquet_texts}.get(path.suffix.lower(), plain_lines)
    with open_input(path) as file:
        yield reader(file, source)


def open_input(path: Path) -> BinaryIO:
    """Open a file to read its bytes; InputValueError if it cannot be opened."""
    if path.is_dir():
        raise InputValueError(f"{path}: is a folder; name a file")
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise InputValueError(f"{path}: no such file") from error
    except OSError as error:
        raise InputValueError(f"{path}: cannot be read ({error.strerror})") from error


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


def _stdin() -> BinaryIO:
    if sys.stdin is None or sys.stdin.closed:
        raise InputValueError("stdin is closed; name a file of texts")
    if sys.stdin.isatty():
        print("reading texts from the terminal, one per line; Ctrl-D ends them", file=sys.stderr)
    return sys.stdin.buffer


def plain_lines(file: BinaryIO, name: str) -> Iterator[str]:
    """Yield the lines of a UTF-8 file without their ends; InputValueError, with the line's number, where it is not."""
    # In a binary file a line ends at "\n" alone; in a text file it would end at a lone "\r" too.
    for number, line in enumerate(file, 1):
        if number == 1:
            line = line.removeprefix(_BOM)
            if not line:  # a byte order mark and nothing else: no line
                return
        try:
            yield line.removesuffix(b"\n").removesuffix(b"\r").decode()
        except UnicodeDecodeError as error:
            raise InputValueError(
                f"{name}, line {number}: not UTF-8 (byte 0x{line[error.start]:02x} at byte {error.start + 1} of the "
                "line); convert the file, as with iconv -t UTF-8 -f ITS_ENCODING"
            ) from error


def _json_texts(file: BinaryIO, name: str) -> Iterator[str]:
    for place, value in json_lines(file, name):
        if isinstance(value, dict) and "text" not in value:
            raise InputValueError(f'{place}: an object without "text"')
        text = value["text"] if isinstance(value, dict) else value
        if not isinstance(text, str):
            raise InputValueError(
                f'{place}: expected a string, or an object with a string under "text", not {text!r:.40}'
            )
        try:
            # JSON can spell half a surrogate pair, which is no text. Here the line's number is known.
            text.encode()
        except UnicodeEncodeError as error:
            raise InputValueError(
                f"{place}: a lone surrogate ({text[error.start]!a}), which is no character"
            ) from error
        yield text
