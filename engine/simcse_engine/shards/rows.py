"""Rows of a source: its texts, and the columns that are kept beside them, some rows at a time.

Columns keep their types in Parquet and Arrow. In `.csv` and `.tsv` they are strings. In `.jsonl` a string stays one, a
field that is not there is null, and anything else becomes its JSON.
"""

import contextlib
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputValueError
from ..files.arrow import import_pyarrow
from ..files.columnar import Columnar, batch_texts, check_strings, open_columnar
from ..files.columns import TEXT, TEXT_COLUMN, VECTOR, check_column, text_of
from ..files.delimited import DELIMITERS, delimited_rows
from ..files.opening import open_input, open_whole, suffix_of
from ..files.tables import JSONL, WHOLE, Row, read_rows
from ..files.texts import open_lines
from .settings import ALL, KEEP_COLUMNS
from .sources import Source

_BATCH_ROWS = 1024


class Rows:
    """Rows of a source, read in order.

    Attributes:
        schema: of what `take` returns: the texts, as `TEXT`, and the kept columns.
    """

    def __init__(self, schema: Any, batches: Iterator[Any]) -> None:
        self.schema = schema
        self._batches = batches
        self._rest: Any = None

    def take(self, count: int) -> Any:
        """The next rows as a table, at most ``count`` and perhaps fewer; None after the last."""
        while self._rest is None or not self._rest.num_rows:
            self._rest = next(self._batches, None)
            if self._rest is None:
                return None
        head, self._rest = self._rest.slice(0, count), self._rest.slice(count)
        return head

    def skip(self, count: int) -> None:
        """Read past so many rows, or to the end."""
        while count and (read := self.take(count)) is not None:
            count -= read.num_rows


@contextlib.contextmanager
def open_rows(source: Source, text_column: str, keep: Sequence[str] = (), start: int = 0) -> Iterator[Rows]:
    """Open a source after its first ``start`` rows.

    Raises:
        InputValueError: it cannot be read, or has no such columns; later, with the place, for what is no text.
    """
    suffix, name = suffix_of(source.path), source.path
    if suffix in WHOLE:
        with open_whole(Path(name), WHOLE[suffix]) as file:
            yield _columnar(open_columnar(file, name, suffix), text_column, keep, start)
        return
    if suffix in DELIMITERS:
        with open_input(Path(name)) as file:
            columns, rows = delimited_rows(file, name, DELIMITERS[suffix])
            check_column(text_column, columns, name)
            kept = _kept(keep, columns, text_column, name)
            yield _of_rows(rows, text_column, kept, start)
        return
    if suffix == JSONL:
        if ALL in keep:
            raise InputValueError(
                f"{name}: its lines need not have the same fields; name those to keep with ", KEEP_COLUMNS
            )
        with open_input(Path(name)) as file:
            # A line may be a string, unless a column is named.
            column = None if text_column == TEXT else text_column
            yield _of_rows(read_rows(file, name, suffix, column), text_column, keep, start)
        return
    if text_column != TEXT:
        raise InputValueError(f"{name}: plain lines have no columns; leave out ", TEXT_COLUMN)
    if keep and ALL not in keep:
        raise InputValueError(f"{name}: plain lines have no columns to keep; leave out ", KEEP_COLUMNS)
    with open_lines(name) as lines:
        yield _of_rows((("", {TEXT: line}) for line in lines), TEXT, (), start)


def check_columns(sources: Iterable[Source], text_column: str, keep: Sequence[str]) -> None:
    """Raise the errors of `open_rows` for all sources before any of them is encoded."""
    for source in sources:
        with open_rows(source, text_column, keep):
            pass


def count_rows(source: Source, text_column: str, keep: Sequence[str] = ()) -> tuple[int, tuple[str, ...]]:
    """Read a source from its first to its last row, before any of it is encoded; errors as for `open_rows`.

    Returns:
        How many rows; and which of the kept fields not one line of a `.jsonl` has, where it has lines.
    """
    rows = 0
    unseen = [*keep] if suffix_of(source.path) == JSONL else []
    with open_rows(source, text_column, keep) as reader:
        while (read := reader.take(_BATCH_ROWS)) is not None:
            rows += read.num_rows
            unseen = [name for name in unseen if read.column(name).null_count == read.num_rows]
    return rows, tuple(unseen) if rows else ()


def _columnar(table: Columnar, text_column: str, keep: Sequence[str], start: int) -> Rows:
    arrow, _ = import_pyarrow(table.name)
    check_column(text_column, table.columns, table.name)
    check_strings(table, text_column)
    kept = _kept(keep, [*table.columns], text_column, table.name)
    fields = [arrow.field(TEXT, arrow.string(), nullable=False)]
    schema = arrow.schema([*fields, *(arrow.field(column, table.columns[column]) for column in kept)])

    def read() -> Iterator[Any]:
        row = start
        for batch in table.batches([text_column, *kept], _BATCH_ROWS, start):
            texts = arrow.array(batch_texts(table, text_column, batch, row), arrow.string())
            yield arrow.table([texts, *(batch.column(column) for column in kept)], schema=schema)
            row += batch.num_rows

    return Rows(schema, read())


def _of_rows(rows: Iterator[Row], text_column: str, kept: Sequence[str], start: int) -> Rows:
    arrow, _ = import_pyarrow()
    fields = [arrow.field(TEXT, arrow.string(), nullable=False)]
    schema = arrow.schema([*fields, *(arrow.field(column, arrow.string()) for column in kept)])

    def read() -> Iterator[Any]:
        left = itertools.islice(rows, start, None)
        while part := list(itertools.islice(left, _BATCH_ROWS)):
            texts = [text_of(fields, text_column, place) for place, fields in part]
            columns = [[_cell(fields.get(column), column, place) for place, fields in part] for column in kept]
            yield arrow.table([arrow.array(column, arrow.string()) for column in (texts, *columns)], schema=schema)

    return Rows(schema, read())


def _cell(value: Any, column: str, place: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        return text_of({column: value}, column, place)
    return json.dumps(value)


def _kept(keep: Sequence[str], columns: Sequence[str], text_column: str, name: str) -> list[str]:
    """The columns to keep of those that there are."""
    if ALL in keep:
        kept = [column for column in columns if column != text_column]
        for column in {TEXT, VECTOR}.intersection(kept):
            raise InputValueError(
                f'{name}: its column "{column}" is one that shards have too; name those to keep with ', KEEP_COLUMNS
            )
        return kept
    for column in keep:
        if column not in columns:
            raise InputValueError(f'{name}: no column "{column}" to keep; it has {", ".join(columns)}')
    return [*keep]
