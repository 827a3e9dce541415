"""The database of an index, SQLite: the commit point of everything. Connections, transactions, errors."""

import contextlib
import ctypes
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

from ..errors import ClosedError, IndexDamagedError, IndexLockedError, IndexNotFoundError, OutputError
from .records import About, Change, Reader, create_tables

DATABASE = "index.db"
_BUSY_SECONDS = 30.0


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
            IndexDamagedError: it is no database of ours, or damaged.
            IndexVersionError: of a format that this engine does not read.
        """
        self._path = folder / DATABASE
        self._lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._writer: sqlite3.Connection | None = None
        self._closed = False
        if not folder.is_dir():
            what = "is a file, not an index's folder" if folder.exists() else "does not exist"
            raise IndexNotFoundError(f"{folder}: {what}; Index.create(folder, artifact) makes one")
        if not self._path.is_file():
            raise IndexNotFoundError(f"{folder}: no {DATABASE} in it, so it is no index")
        try:
            with self.reading() as reader:
                self.about = reader.about()
                reader.state()
        except BaseException:
            self.close()
            raise
        _stores.add(self)

    @contextlib.contextmanager
    def reading(self) -> "Iterator[Reader]":
        """Yield one state of the database, whatever writers do meanwhile."""
        with _said(self._path):
            connection = self._borrow()
            try:
                connection.execute("BEGIN")
                yield Reader(connection, self._path)
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                self._give_back(connection)

    @contextlib.contextmanager
    def writing(self) -> "Iterator[Change]":
        """Yield the database for changes, which are on disk when the block ends, or undone if it ends with an error."""
        with _said(self._path):
            if self._writer is None:
                self._refuse_if_closed()
                self._writer = self._connect()
                # On disk at the end of every commit, not only whole.
                self._writer.execute("PRAGMA synchronous = FULL")
            connection = self._writer
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield Change(connection, self._path)
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def shrink(self) -> None:
        """Give back to the system what deleted entries took."""
        with _said(self._path):
            if self._writer is None:
                with self.writing():
                    pass
            assert self._writer is not None
            self._writer.execute("VACUUM")
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _borrow(self) -> sqlite3.Connection:
        with self._lock:
            self._refuse_if_closed()
            if self._idle:
                return self._idle.pop()
        return self._connect()

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise ClosedError("this index is closed; open it again")

    def _connect(self) -> sqlite3.Connection:
        quoted = self._path.absolute().as_uri()
        writable = os.access(self._path.parent, os.W_OK) and os.access(self._path, os.W_OK)
        # Readers share a small file with the writer. Where they cannot make it, nobody writes, unless it is there.
        shared = self._path.with_name(f"{DATABASE}-wal").exists()
        how = "mode=rw" if writable else "mode=ro" if shared else "mode=ro&immutable=1"
        connection = sqlite3.connect(
            f"{quoted}?{how}", uri=True, isolation_level=None, timeout=_BUSY_SECONDS, check_same_thread=False
        )
        connection.execute("PRAGMA cell_size_check = ON")
        return connection

    def close(self) -> None:
        """Close the database. Closing twice is fine."""
        with self._lock:
            self._closed = True
            connections, self._idle = [*self._idle, self._writer], []
            self._writer = None
        for connection in connections:
            if connection is not None:
                connection.close()

    def _abandon(self) -> None:
        """In a forked child: SQLite's connections do not survive a fork, not even to be closed.

        So each gets a reference that nobody gives back, and is not destroyed when the interpreter ends either.
        """
        for connection in [*self._idle, self._writer]:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
        self._lock, self._idle, self._writer = threading.Lock(), [], None


@contextlib.contextmanager
def _said(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours."""
    try:
        yield
    except (sqlite3.ProgrammingError, sqlite3.InterfaceError):
        raise
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            raise OutputError(f"{path}: the disk is full; what was acknowledged is safe") from error
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN):
            raise OutputError(f"{path}: cannot be opened or written ({error})") from error
        if code == sqlite3.SQLITE_BUSY:
            raise IndexLockedError(f"{path}: another program holds the database; end it, or wait") from error
        raise IndexDamagedError(f"{path}: cannot be read ({error}); restore the file from a backup") from error


_stores: "weakref.WeakSet[Store]" = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for store in list(_stores):
        store._abandon()


os.register_at_fork(after_in_child=_after_fork_in_child)
