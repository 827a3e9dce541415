"""What an index's database holds, and the statements that read and change it.

A row is a number that an entry has from its addition to the next compaction; it is the vector's place in the vector
file. Rows never change: what replaces an entry gets a new row, and the old one is listed among the dead. So a state is
told by three numbers, and what was computed for one state is brought up to a later one by looking at what came after.
"""

import json
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import IndexDamagedError, IndexVersionError
from .where import Condition

FORMAT = 1
# "SCSE", in SQLite's own header: tells an index from any other database.
_APPLICATION = 0x53435345
_PAGE_ROWS = 2048
# json.loads looks for white space around it besides, which takes as long as the rest.
_DECODER = json.JSONDecoder()
_COLUMNS = "e.row, e.key, e.text, e.metadata, e.checksum"

_ENTRIES = """
CREATE TABLE {name} (
    row INTEGER PRIMARY KEY, key INTEGER NOT NULL UNIQUE, text TEXT NOT NULL, metadata TEXT, checksum INTEGER NOT NULL
)"""
_SCHEMA = (
    _ENTRIES.format(name="entries"),
    "CREATE TABLE dead (number INTEGER PRIMARY KEY, row INTEGER NOT NULL)",
    "CREATE TABLE about (content TEXT NOT NULL)",
    "CREATE TABLE state (generation INTEGER, rows INTEGER, next_key INTEGER, graph TEXT, checksum INTEGER)",
)


@dataclass(frozen=True, kw_only=True)
class About:
    """What an index is, from its creation on.

    Attributes:
        name: 32 hex digits that tell it from all others; its vector file has them too.
        artifact: where the artifact was, a path or a hub id.
        identity: the artifact's (see `simcse_engine.artifact.manifest.Manifest`).
        model: the artifact's.
        dimension: floats a vector.
        max_tokens: the artifact's.
        dtype: what the graph keeps of a vector.
    """

    name: str
    artifact: str
    identity: str
    model: str
    dimension: int
    max_tokens: int
    dtype: str


@dataclass(frozen=True, kw_only=True)
class State:
    """What a transaction sees.

    Attributes:
        generation: of the vector file.
        rows: how many vectors in it count.
        deaths: how many of them are gone.
        next_key: the next automatic key.
        graph: the saved graph (`Saved.to_json`), if there is one.
    """

    generation: int
    rows: int
    deaths: int
    next_key: int
    graph: str | None


class Entry(NamedTuple):
    """What an index holds under a key."""

    key: int
    text: str
    metadata: dict[str, Any] | None


class Record(NamedTuple):
    """An entry as the database has it, with its row."""

    row: int
    key: int
    text: str
    metadata: str | None

    def entry(self) -> Entry:
        """As callers see it."""
        return Entry(self.key, self.text, None if self.metadata is None else _DECODER.raw_decode(self.metadata)[0])


def create_tables(connection: sqlite3.Connection, about: About, *, generation: int) -> None:
    """Write what an empty index has into an empty database."""
    connection.execute(f"PRAGMA application_id = {_APPLICATION}")
    connection.execute(f"PRAGMA user_version = {FORMAT}")
    connection.execute("BEGIN")
    for statement in _SCHEMA:
        connection.execute(statement)
    connection.execute("INSERT INTO about VALUES (?)", (json.dumps(asdict(about)),))
    first = (generation, 0, 0, None)
    connection.execute("INSERT INTO state VALUES (?, ?, ?, ?, ?)", (*first, _state_checksum(*first)))
    connection.execute("COMMIT")


class Reader:
    """One state of the database.

    Attributes:
        path: the database's, for messages.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self.path = path

    def about(self) -> About:
        """What the index is.

        Raises:
            IndexDamagedError, IndexVersionError: as `Store` says.
        """
        (application,) = self._one("PRAGMA application_id")
        (version,) = self._one("PRAGMA user_version")
        if application != _APPLICATION:
            raise IndexDamagedError(f"{self.path}: is a database, but not an index's")
        if version != FORMAT:
            advice = "upgrade simcse-engine" if version > FORMAT else "build the index again"
            raise IndexVersionError(f"{self.path}: format {version}, this engine reads format {FORMAT}; {advice}")
        try:
            about = About(**json.loads(self._one("SELECT content FROM about")[0]))
            bytes.fromhex(about.name)
        except (ValueError, TypeError) as error:
            raise IndexDamagedError(f"{self.path}: does not say what it is ({error}); restore a backup") from error
        return about

    def state(self) -> State:
        """The three numbers, and what goes with them."""
        sql = "SELECT (SELECT max(number) FROM dead), checksum, generation, rows, next_key, graph FROM state"
        deaths, checksum, generation, rows, next_key, graph = self._one(sql)
        if checksum != _state_checksum(generation, rows, next_key, graph):
            raise IndexDamagedError(f"{self.path}: its state was altered; restore the file from a backup")
        return State(generation=generation, rows=rows, deaths=deaths or 0, next_key=_to_key(next_key), graph=graph)

    def check_counts(self, state: State) -> None:
        """Compare how many entries there are, in the table and in the index of its keys, with what the state says.

        SQLite has no checksums, so a damaged page that still parses can hide entries. Counting reads no entry, so
        it takes little time however many there are.

        Raises:
            IndexDamagedError: they do not agree.
        """
        wanted = state.rows - state.deaths
        for sql in ("SELECT count(*) FROM entries NOT INDEXED", "SELECT count(*) FROM entries"):
            (found,) = self._one(sql)
            if found != wanted:
                raise IndexDamagedError(
                    f"{self.path}: {wanted:,} entries were written, {found:,} are there; restore the file from a backup"
                )

    def dead(self, after: int) -> NDArray[np.int64]:
        """The rows of all deaths but the first ``after``."""
        return self._column("SELECT row FROM dead WHERE number > ? ORDER BY number", (after,))

    def matching(self, condition: Condition, start: int, end: int) -> NDArray[np.int64]:
        """Rows from ``start`` to ``end`` (without) whose metadata fulfil a condition."""
        sql = f"SELECT row FROM entries WHERE row >= ? AND row < ? AND {condition.sql}"
        return self._column(sql, (start, end, *condition.parameters))

    def records(self, rows: Sequence[int]) -> list[Record]:
        """The entries of these rows, in any order, without those that have none.

        Raises:
            IndexDamagedError: an entry is not as it was written.
        """
        sql = f"SELECT {_COLUMNS} FROM json_each(?) j JOIN entries e ON e.row = j.value"
        return [self._checked(*found) for found in self._connection.execute(sql, (json.dumps(rows),))]

    def records_of(self, keys: Sequence[int]) -> list[Record]:
        """The entries under these keys, in any order, without those that are absent."""
        sql = f"SELECT {_COLUMNS} FROM json_each(?) j JOIN entries e ON e.key = j.value"
        stored = json.dumps([to_stored(key) for key in keys])
        return [self._checked(*found) for found in self._connection.execute(sql, (stored,))]

    def pages(self) -> Iterator[list[Record]]:
        """All entries by rising row, a few thousand at a time."""
        sql = f"SELECT {_COLUMNS} FROM entries e WHERE e.row > ? ORDER BY e.row LIMIT ?"
        last = -1
        while page := [self._checked(*found) for found in self._connection.execute(sql, (last, _PAGE_ROWS))]:
            yield page
            last = page[-1].row

    def live_rows(self) -> NDArray[np.int64]:
        """The rows of all entries, rising."""
        return self._column("SELECT row FROM entries ORDER BY row", ())

    def _checked(self, row: int, stored: int, text: str, metadata: str | None, checksum: int) -> Record:
        if _checksum(stored, text, metadata) != checksum:
            raise IndexDamagedError(f"{self.path}: the entry of row {row} was altered; restore the file from a backup")
        return Record(row, _to_key(stored), text, metadata)

    def _one(self, sql: str) -> tuple[Any, ...]:
        found: tuple[Any, ...] | None = self._connection.execute(sql).fetchone()
        if found is None:
            raise IndexDamagedError(f"{self.path}: lacks what every index has; restore the file from a backup")
        return found

    def _column(self, sql: str, parameters: Sequence[object]) -> NDArray[np.int64]:
        return np.fromiter((value for (value,) in self._connection.execute(sql, parameters)), np.int64)


class Change(Reader):
    """The database within a change."""

    def insert(self, records: Sequence[Record]) -> None:
        """Add entries."""
        rows = []
        for record in records:
            stored = to_stored(record.key)
            checksum = _checksum(stored, record.text, record.metadata)
            rows.append((record.row, stored, record.text, record.metadata, checksum))
        self._connection.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", rows)

    def bury(self, rows: Sequence[int]) -> None:
        """Delete entries, and list their rows among the dead."""
        given = [(row,) for row in rows]
        self._connection.executemany("INSERT INTO dead (row) VALUES (?)", given)
        self._connection.executemany("DELETE FROM entries WHERE row = ?", given)

    def grow(self, state: State, rows: int, next_key: int) -> None:
        """From now on so many rows of the vector file count."""
        self._set_state(state.generation, rows, next_key, state.graph)

    def remember_graph(self, state: State, graph: str | None) -> None:
        """From now on this is the saved graph."""
        self._set_state(state.generation, state.rows, state.next_key, graph)

    def _set_state(self, generation: int, rows: int, next_key: int, graph: str | None) -> None:
        facts = (generation, rows, to_stored(next_key), graph)
        sql = "UPDATE state SET generation = ?, rows = ?, next_key = ?, graph = ?, checksum = ?"
        self._connection.execute(sql, (*facts, _state_checksum(*facts)))

    def renumber(self, state: State, generation: int, graph: str | None) -> None:
        """Give the entries rows without gaps, in their order, for a vector file and a graph of another generation."""
        self._connection.execute(_ENTRIES.format(name="renumbered"))
        self._connection.execute(
            "INSERT INTO renumbered SELECT row_number() OVER (ORDER BY row) - 1, key, text, metadata, checksum "
            "FROM entries ORDER BY row"
        )
        self._connection.execute("DROP TABLE entries")
        self._connection.execute("ALTER TABLE renumbered RENAME TO entries")
        self._connection.execute("DELETE FROM dead")
        (rows,) = self._one("SELECT count(*) FROM entries")
        self._set_state(generation, rows, state.next_key, graph)


def to_stored(key: int) -> int:
    """A key as SQLite's signed 64 bits hold it: those from 2**63 on as negative numbers."""
    return key if key < 1 << 63 else key - (1 << 64)


def _to_key(stored: int) -> int:
    return stored & 0xFFFF_FFFF_FFFF_FFFF


def _checksum(stored: int, text: str, metadata: str | None) -> int:
    checksum = zlib.crc32(text.encode(), stored & 0xFFFFFFFF)
    return checksum if metadata is None else zlib.crc32(metadata.encode(), checksum ^ 1)


def _state_checksum(*facts: object) -> int:
    return zlib.crc32(json.dumps(facts).encode())
