"""The database of an index, SQLite: the commit point of everything (docs/decisions/017-index-commit-point.md)."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from ...errors import IndexNotFoundError
from .connections import Connections
from .records import About
from .transactions import Change, Reader, create_tables

DATABASE = "index.db"


def create_store(folder: Path, about: About, *, generation: int) -> None:
    """Write an empty database into ``folder``."""
    with contextlib.closing(sqlite3.connect(folder / DATABASE, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        create_tables(connection, about, generation=generation)


class Store:
    """The database of an index; may be used from many threads at once, by one writer at a time.

    Attributes:
        about: what the index is.
    """

    about: About

    def __init__(self, folder: Path) -> None:
        """Open the database in ``folder``.

        Raises:
            IndexNotFoundError: there is none.
            IndexDamagedError: it is no index's database, or damaged.
            IndexVersionError: of a format that this engine does not read.
        """
        self._path = folder / DATABASE
        self._connections = Connections(self._path)
        if not folder.is_dir():
            problem = "is a file, not an index's folder" if folder.exists() else "does not exist"
            raise IndexNotFoundError(f"{folder}: {problem}; Index.create(folder, artifact) makes one")
        if not self._path.is_file():
            raise IndexNotFoundError(f"{folder}: no {DATABASE} in it, so it is no index")
        try:
            with self.reading() as reader:
                self.about = reader.about()
                reader.state()
        except BaseException:
            self.close()
            raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[Reader]:
        """Yield one state of the database, whatever writers do meanwhile."""
        with self._connections.reading() as connection:
            yield Reader(connection, self._path)

    @contextlib.contextmanager
    def writing(self) -> Iterator[Change]:
        """Yield the database for changes, which are on disk when the block ends, or undone if it ends with an error."""
        with self._connections.writing() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield Change(connection, self._path)
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def shrink(self) -> None:
        """Give the space of deleted entries back to the system."""
        with self._connections.writing() as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close the database. Closing twice is fine."""
        self._connections.close()
