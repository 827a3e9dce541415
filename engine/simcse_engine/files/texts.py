"""Files of texts, read one text at a time: plain lines, or a column of a table.

Nothing is skipped, so that row n of an output belongs to row n of the input: a line that is no text stops the work,
and the error has its number.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ..errors import InputValueError
from .columns import TEXT_COLUMN
from .lines import plain_lines
from .opening import STDIN, open_input, open_stdin, open_whole, size_of, suffix_of
from .reading import Reading
from .tables import TABLES, WHOLE, read_texts


@contextlib.contextmanager
def open_texts(source: str, text_column: str | None = None) -> Iterator[Reading[str]]:
    r"""Open a file of texts; they are read as the iterator advances, and the file is closed with the block.

    Args:
        source: a path, or "-" for plain lines on stdin. `.jsonl` has a JSON string per line, or an object with a string
            under "text"; `.csv`, `.tsv`, `.parquet` and `.arrow` have a column "text"; any other file is UTF-8 with one
            text per line. Lines end with "\n" or "\r\n" and with nothing else, and an empty line is the empty text.
            After `.gz` or `.zst` the file is compressed. A pipe is read as it is written, except as `.parquet` and
            `.arrow`.
        text_column: the field or column of the texts, if it is not "text".

    Raises:
        InputValueError: at once if the file cannot be opened, or is of another kind; later, with the line's number, for
            a line that is no text.
    """
    suffix = suffix_of(source)
    if suffix not in TABLES:
        if text_column is not None:
            raise InputValueError(
                f"{source}: plain lines have no columns; ", TEXT_COLUMN, f" is for {', '.join(TABLES)}"
            )
        with open_lines(source) as lines:
            yield lines
        return
    path = Path(source)
    with open_whole(path, WHOLE[suffix]) if suffix in WHOLE else open_input(path) as file:
        yield read_texts(file, source, suffix, text_column)


@contextlib.contextmanager
def open_lines(source: str) -> Iterator[Reading[str]]:
    """Open a file of plain lines, whatever its name, or "-" for stdin; errors as for `open_texts`."""
    if source == STDIN:
        file = open_stdin()
        yield Reading(plain_lines(file, "stdin"), size_of(file), file.tell)
        return
    with open_input(Path(source)) as file:
        yield Reading.of(plain_lines(file, source), file)
