"""A change of the database: what a writer adds, buries and renumbers within one transaction."""

from collections.abc import Sequence
from dataclasses import replace

from .key_kinds import stored_number
from .keywords import add_keywords, create_keywords, has_keywords, remove_keywords
from .records import About, Record, State, record_checksum, state_checksum
from .schema import replace_about, replace_entries
from .transactions import PAGE_ROWS, Reader


class Change(Reader):
    """The database within a change."""

    def insert(self, records: Sequence[Record]) -> None:
        """Add entries."""
        rows = []
        for record in records:
            stored = self.keys.stored(record.key)
            checksum = record_checksum(stored, record.text, record.metadata)
            rows.append((record.row, stored, record.text, record.metadata, checksum))
        self._connection.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", rows)
        if has_keywords(self._connection):
            add_keywords(self._connection, ((record.row, record.text) for record in records))

    def bury(self, rows: Sequence[int], *, tidy: bool = True) -> None:
        """Delete entries, and list their rows among the dead; see `remove_keywords` for ``tidy``."""
        if has_keywords(self._connection):
            # A few thousand at a time, which are all in memory.
            for first in range(0, len(rows), PAGE_ROWS):
                found = self.columns(rows[first : first + PAGE_ROWS])
                remove_keywords(self._connection, zip(found.rows, found.texts, strict=True), tidy=tidy)
        parameters = [(row,) for row in rows]
        self._connection.executemany("INSERT INTO dead (row) VALUES (?)", parameters)
        self._connection.executemany("DELETE FROM entries WHERE row = ?", parameters)

    def set_state(self, state: State) -> None:
        """Make this the state; its deaths are those that `bury` lists."""
        facts = (state.generation, state.rows, stored_number(state.next_key), state.graph)
        sql = "UPDATE state SET generation = ?, rows = ?, next_key = ?, graph = ?, checksum = ?"
        self._connection.execute(sql, (*facts, state_checksum(*facts)))

    def renumber(self, state: State, generation: int, graph: str | None) -> None:
        """Give the entries rows without gaps, in their order, for a vector file and a graph of another generation."""
        replace_entries(
            self._connection,
            "SELECT row_number() OVER (ORDER BY row) - 1, key, text, metadata, checksum FROM entries ORDER BY row",
            self.keys,
        )
        self._connection.execute("DELETE FROM dead")
        if has_keywords(self._connection):
            self._fill_keywords()
        (rows,) = self._one("SELECT count(*) FROM entries")
        self.set_state(replace(state, generation=generation, rows=rows, graph=graph))

    def build_keywords(self, about: About) -> None:
        """Make an index of the entries' words, in place of one that is there, and ``about`` what the index is."""
        self._fill_keywords()
        replace_about(self._connection, about)

    def _fill_keywords(self) -> None:
        create_keywords(self._connection)
        for page in self.pages():
            add_keywords(self._connection, ((record.row, record.text) for record in page))
