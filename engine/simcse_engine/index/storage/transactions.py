"""Transactions: the statements that read an index's database."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import IndexDamagedError, SearchIndexError
from ...wording import Wording
from .faults import REBUILT, translating_faults
from .key_kinds import number_of
from .keys import Key, KeyKind
from .keywords import (
    check_keywords,
    count_keywords,
    find_keywords,
    has_keywords,
    in_step,
    words_bytes,
)
from .records import About, Columns, Record, State, record_checksum, state_checksum
from .schema import check_entries, check_tables
from .where import Condition

PAGE_ROWS = 2048
_COLUMNS = "e.row, e.key, e.text, e.metadata, e.checksum"


class Reader:
    """One state of the database.

    Attributes:
        path: the database's, for messages.
        keys: what its keys are.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, keys: KeyKind) -> None:
        self._connection = connection
        self.path = path
        self.keys = keys

    def end(self) -> None:
        """End the transaction, after which nothing is read from it."""
        self._connection.execute("ROLLBACK")

    def about(self) -> About:
        """What the index is."""
        version = check_tables(self._connection, self.path)
        try:
            about = About.from_json(self._one("SELECT content FROM about")[0])
            if about.format != version:
                raise ValueError(f"format {about.format}, and {version}")
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise IndexDamagedError(f"{self.path}: does not say what it is ({error}); restore a backup") from error
        check_entries(self._connection, self.path, about.key_kind)
        check_keywords(self._connection, self.path, expected=about.keywords)
        return about

    def state(self) -> State:
        """The state that this transaction sees."""
        sql = "SELECT (SELECT max(number) FROM dead), checksum, generation, rows, next_key, graph FROM state"
        deaths, checksum, generation, rows, next_key, graph = self._one(sql)
        deaths = deaths or 0
        numbers = type(generation) is type(rows) is type(next_key) is int and (graph is None or type(graph) is str)
        if not (numbers and checksum == state_checksum(generation, rows, next_key, graph) and 0 <= deaths <= rows):
            raise IndexDamagedError(f"{self.path}: its state was altered; restore the file from a backup")
        return State(generation=generation, rows=rows, deaths=deaths, next_key=number_of(next_key), graph=graph)

    def check_counts(self, state: State) -> None:
        """Compare the numbers of entries in the table and in its index of keys with the state's.

        SQLite has no checksums, so a damaged page that still parses can hide entries. Counting reads no entry, so
        it takes little time however many there are.
        """
        written = state.entries
        for sql in ("SELECT count(*) FROM entries NOT INDEXED", "SELECT count(*) FROM entries"):
            (count,) = self._one(sql)
            if count != written:
                raise IndexDamagedError(
                    f"{self.path}: {written:,} entries were written, {count:,} are there; restore the file from a "
                    "backup"
                )

    def check_keys(self) -> None:
        """Compare the keys in the table with those in its index, by which entries are found.

        It reads every key, so it takes a little longer than to count them.
        """
        sums = f"SELECT {self.keys.digest} FROM entries"
        if self._one(f"{sums} NOT INDEXED") != self._one(sums):
            raise IndexDamagedError(f"{self.path}: the index of its keys was altered; restore the file from a backup")

    def check_keywords(self, state: State) -> None:
        """Compare the number of texts in the index of words with the state's, as `check_counts` does."""
        if not has_keywords(self._connection):
            raise SearchIndexError(
                f"{self.path.parent}: has no index of its words; ",
                Wording("build_keywords() makes one", "simcse-engine index keywords makes one"),
            )
        if count_keywords(self._connection) != state.entries:
            raise self._out_of_step(state)

    def check_words_in_step(self, state: State) -> None:
        """Compare the rows of the index of words, if there is one, with those of the entries; not the words."""
        if has_keywords(self._connection) and not in_step(self._connection):
            raise self._out_of_step(state)

    def _out_of_step(self, state: State) -> IndexDamagedError:
        return IndexDamagedError(f"{self.path}: the index of its words is not of {state.entries:,} texts; ", REBUILT)

    def find_keywords(self, query: str, most: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The rows that hold words of a query, and their scores (see `simcse_engine.index.storage.keywords`)."""
        return find_keywords(self._connection, query, most)

    def dead(self, after: int) -> NDArray[np.int64]:
        """The rows of all deaths but the first ``after``."""
        return self._column("SELECT row FROM dead WHERE number > ? ORDER BY number", (after,))

    def matching(self, condition: Condition, start: int, end: int) -> NDArray[np.int64]:
        """The rows from ``start`` to ``end`` (without) whose metadata meet a condition."""
        # The condition numbers its own parameters from 1 on.
        first = len(condition.parameters) + 1
        rows = f"row >= ?{first} AND row < ?{first + 1} AND {condition.sql}"
        # All at once: one by one, they take as long as the filter.
        (found,) = self._one(f"SELECT group_concat(row) FROM entries WHERE {rows}", (*condition.parameters, start, end))
        return np.fromstring(found or "", np.int64, sep=",")

    def columns(self, rows: Sequence[int]) -> Columns:
        """The records of these rows, by rising row, without those that have none."""
        # SQLite sorts the list, and so finds them in their order.
        sql = f"SELECT {_COLUMNS} FROM entries e WHERE e.row IN (SELECT value FROM json_each(?)) ORDER BY e.row"
        return self._columns(sql, (json.dumps(rows),))

    def records_of(self, keys: Sequence[Key]) -> list[Record]:
        """The records under these keys, in any order, without those that are absent."""
        sql = f"SELECT {_COLUMNS} FROM json_each(?) j JOIN entries e ON e.key = j.value"
        return self._records(sql, (json.dumps(list(map(self.keys.stored, keys)), ensure_ascii=False),))

    def page(self, after: Key | None, count: int, condition: Condition | None) -> list[Record]:
        """Up to ``count`` records by rising key that meet a condition, of those behind a key."""
        sql, parameters = ("1", ()) if condition is None else (condition.sql, condition.parameters)
        # The condition numbers its own parameters from 1 on.
        first = len(parameters) + 1
        records: list[Record] = []
        for behind, bound in self.keys.behind(after):
            where = f"{behind.format(f'?{first}')} AND {sql} ORDER BY e.key LIMIT ?{first + 1}"
            left = (*parameters, bound, count - len(records))
            records += self._records(f"SELECT {_COLUMNS} FROM entries e WHERE {where}", left)
        return records

    def pages(self) -> Iterator[list[Record]]:
        """All records by rising row, a few thousand at a time."""
        sql = f"SELECT {_COLUMNS} FROM entries e WHERE e.row > ? ORDER BY e.row LIMIT ?"
        last = -1
        while page := self._records(sql, (last, PAGE_ROWS)):
            yield page
            last = page[-1].row

    def room_to_copy(self) -> int:
        """About how many bytes of the disk a copy of all entries takes, in the log and in the database."""
        page, pages, free = (self._one(f"PRAGMA {fact}")[0] for fact in ("page_size", "page_count", "freelist_count"))
        used = pages - free
        return int(page * (used + max(0, used - free)))

    def unsettled(self) -> int:
        """By how many bytes the database will grow when it takes in what the log holds."""
        page, pages = (self._one(f"PRAGMA {fact}")[0] for fact in ("page_size", "page_count"))
        return max(0, int(page * pages) - self.path.stat().st_size)

    def reserved(self) -> int:
        """How many bytes of the disk removals may need: `unsettled`, and what it takes to take all words out."""
        return self.unsettled() + (words_bytes(self._connection) if has_keywords(self._connection) else 0)

    def copy_database(self, path: Path, place: Path) -> None:
        """Write what this transaction sees into a database at ``path``; errors speak of ``place``.

        SQLite copies: were its file opened and closed here, the system would drop this process's locks on it.
        """
        with translating_faults(path, place), contextlib.closing(sqlite3.connect(path)) as copy:
            self._connection.backup(copy)

    def live_rows(self) -> NDArray[np.int64]:
        """The rows of all entries, rising."""
        return self._column("SELECT row FROM entries ORDER BY row", ())

    def _records(self, sql: str, parameters: Sequence[object]) -> list[Record]:
        return list(map(Record, *self._columns(sql, parameters)))

    def _columns(self, sql: str, parameters: Sequence[object]) -> Columns:
        """What a SELECT of `_COLUMNS` finds, once its checksums hold."""
        found = self._connection.execute(sql, parameters).fetchall()
        if not found:
            return Columns((), (), (), ())
        keys = []
        for row, stored, text, metadata, checksum in found:
            try:
                intact = record_checksum(stored, text, metadata) == checksum
                keys.append(self.keys.of_stored(stored))
            except (AttributeError, TypeError, ValueError):  # values of other types, or a key of another kind
                intact = False
            if not intact:
                raise IndexDamagedError(
                    f"{self.path}: the entry of row {row} was altered; restore the file from a backup"
                )
        rows, _, texts, documents, _ = zip(*found, strict=True)
        return Columns(rows, tuple(keys), texts, documents)

    def _one(self, sql: str, parameters: Sequence[object] = ()) -> tuple[Any, ...]:
        row: tuple[Any, ...] | None = self._connection.execute(sql, parameters).fetchone()
        if row is None:
            raise IndexDamagedError(f"{self.path}: lacks what every index has; restore the file from a backup")
        return row

    def _column(self, sql: str, parameters: Sequence[object]) -> NDArray[np.int64]:
        values = self._connection.execute(sql, parameters)
        try:
            return np.fromiter((value for (value,) in values), np.int64)
        except (TypeError, ValueError) as error:
            raise IndexDamagedError(f"{self.path}: holds rows that are no numbers; restore a backup") from error
