"""Text files, read one text at a time for the command line: plain lines, `.jsonl` and `.parquet`.

A row of the output shall be the same row of the input, so nothing is skipped: what cannot be read as a text stops the
work with the line it stands on.
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
    r"""Open a file of texts; the texts are read as they are asked for, and the file is closed with the block.

    Args:
        source: a path, or "-" for plain lines on stdin. `.jsonl` is a JSON string, or an object with a string under
            "text", a line; `.parquet` is its column "text"; all else is UTF-8 with one text a line. Lines end with
            "\n" or "\r\n" and with nothing else, and an empty line is the empty text.

    Yields:
        The texts.

    Raises:
        InputValueError: at once if the file cannot be opened, and later, with the line's number, for a line that is
            not what it should be.
    """
    if source == STDIN:
        yield _lines(_stdin(), "stdin")
        return
    path = Path(source)
    reader = {".jsonl": _json_lines, ".parquet": parquet_texts}.get(path.suffix.lower(), _lines)
    with _open(path) as file:
        yield reader(file, source)


def _open(path: Path) -> BinaryIO:
    if path.is_dir():
        raise InputValueError(f"{path}: is a folder; name a file of texts")
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise InputValueError(f"{path}: no such file") from error
    except OSError as error:
        raise InputValueError(f"{path}: cannot be read ({error.strerror})") from error


def _stdin() -> BinaryIO:
    if sys.stdin is None or sys.stdin.closed:
        raise InputValueError("stdin is closed; name a file of texts")
    if sys.stdin.isatty():
        print("reading texts from the terminal, one a line; Ctrl-D ends them", file=sys.stderr)
    return sys.stdin.buffer


def _lines(file: BinaryIO, name: str) -> Iterator[str]:
    # A binary file: only there does a line end at "\n" alone. Text files end one at a lone "\r" too.
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


def _json_lines(file: BinaryIO, name: str) -> Iterator[str]:
    for number, line in enumerate(_lines(file, name), 1):
        try:
            text = _text_of(json.loads(line))
            # JSON can spell half a surrogate pair, which is no text; said here, the line's number can be told.
            text.encode()
        except (ValueError, RecursionError) as error:
            raise InputValueError(f"{name}, line {number}: {_what(error)}") from error
        yield text


def _text_of(content: Any) -> str:
    if isinstance(content, dict):
        if "text" not in content:
            raise ValueError('an object without "text"')
        content = content["text"]
    if not isinstance(content, str):
        raise ValueError(f'a string, or an object with a string under "text", is wanted, not {content!r:.40}')
    return content


def _what(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON ({error.msg} at column {error.colno})"
    if isinstance(error, UnicodeEncodeError):
        return f"a lone surrogate ({error.object[error.start]!a}), which is no character"
    return f"not JSON ({error})" if isinstance(error, RecursionError) else str(error)
