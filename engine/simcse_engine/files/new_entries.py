"""New entries: files that an index is filled from, of texts or of vectors; and files of keys."""

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputValueError
from ..wording import Wording
from .blocks import Block, columnar_blocks, json_blocks, mixed_keys, npy_blocks, text_blocks
from .columnar import open_columnar
from .columns import TEXT, VECTOR, KeyOf, KeyReader, NewEntry, entry_of
from .delimited import DELIMITERS
from .opening import check_whole, open_input, open_whole, suffix_of
from .reading import Reading
from .tables import JSONL, TABLES, WHOLE, Row, read_columnar, read_rows
from .texts import open_lines, open_texts
from .vectors import load_npy

NPY = ".npy"
_WHOLE = {**WHOLE, NPY: "an .npy file"}


@contextlib.contextmanager
def open_entries(
    source: str, keys: KeyReader, *, texts: Sequence[str] | None = None, text_column: str | None = None
) -> Iterator[Reading[Block]]:
    """Open a file that an index is filled from; its blocks are read as the iterator advances.

    Args:
        source: as for `open_texts`. An object or row may have a "key" and "metadata" (an object, or its JSON) beside
            its text; its other fields are metadata too. `.jsonl`, `.parquet` and `.arrow` may have a "vector", and
            `.npy` holds nothing but vectors.
        keys: what the index's keys are.
        texts: those of an `.npy` file.
        text_column: as for `open_texts`.

    Raises:
        InputValueError: the file cannot be read, or a line is not what it should be.
    """
    suffix = suffix_of(source)
    check_texts_given(source, texts is not None)
    with contextlib.ExitStack() as files:
        if suffix == NPY:
            check_seekable(source)
            blocks = npy_blocks(source, texts or ())
        elif suffix in WHOLE:
            table = open_columnar(files.enter_context(open_whole(Path(source), WHOLE[suffix])), source, suffix)
            column = TEXT if text_column is None else text_column
            if VECTOR in table.columns:
                blocks = columnar_blocks(table, column, keys.of_json)
            else:
                blocks = _of_texts(read_columnar(table, column), column, source, keys.of_json)
        elif suffix in TABLES:
            file = files.enter_context(open_input(Path(source)))
            key_of = keys.of_text if suffix in DELIMITERS else keys.of_json
            rows = read_rows(file, source, suffix, text_column)
            blocks = _of_rows(rows, suffix, text_column, source, key_of)
        else:
            lines = files.enter_context(open_texts(source, text_column))
            blocks = lines.replaced(text_blocks(map(NewEntry, lines), source))
        yield blocks.replaced(_alike(blocks, source))


def check_texts_given(source: str, given: bool) -> None:
    """Raise InputValueError unless texts are given for a file of vectors alone, and for no other."""
    texts = Wording("texts=…", "--texts FILE")
    if suffix_of(source) == NPY and not given:
        raise InputValueError(f"{source}: an {NPY} file holds no texts; give ", texts)
    if suffix_of(source) != NPY and given:
        raise InputValueError(f"{source}: has texts of its own; ", texts, f" is for {NPY}")


def check_seekable(source: str) -> None:
    """Raise InputValueError for a pipe or a device in the place of a file that is read at any place."""
    suffix = suffix_of(source)
    if suffix in _WHOLE:
        check_whole(Path(source), _WHOLE[suffix])


def _of_rows(rows: Reading[Row], suffix: str, text_column: str | None, source: str, key_of: KeyOf) -> Reading[Block]:
    column = TEXT if text_column is None else text_column
    first = list(itertools.islice(rows, 1)) if suffix == JSONL else []
    # Read once: it may be a pipe.
    rows = rows.replaced(itertools.chain(first, rows))
    if first and VECTOR in first[0][1] and column != VECTOR:
        return rows.replaced(json_blocks(iter(rows), column, key_of))
    return _of_texts(rows, column, source, key_of)


def _of_texts(rows: Reading[Row], column: str, source: str, key_of: KeyOf) -> Reading[Block]:
    return rows.replaced(text_blocks((entry_of(row, column, place, key_of) for place, row in rows), source))


def _alike(blocks: Iterator[Block], source: str) -> Iterator[Block]:
    """The blocks, of which all have keys or none."""
    with_keys = None
    for block in blocks:
        if with_keys not in (None, block.keys is not None):
            raise mixed_keys(source)
        with_keys = block.keys is not None
        yield block


def read_keys(source: str, keys: KeyReader) -> list[Any]:
    """The keys of an `.npy` file's vectors: one per line, or an `.npy` file of them."""
    if suffix_of(source) != NPY:
        with open_lines(source) as lines:
            return [keys.of_text(line, f"{source}, line {number}") for number, line in enumerate(lines, 1)]
    check_seekable(source)
    array = load_npy(source)
    if array.ndim != 1 or array.dtype.kind not in "iuU":
        raise InputValueError(f"{source}: {array.dtype} of shape {list(array.shape)}; expected a list of {keys.plural}")
    return [keys.of_json(key, f"{source}, row {number}") for number, key in enumerate(array.tolist(), 1)]
