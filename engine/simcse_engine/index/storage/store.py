"""The database of an index, SQLite: the commit point of everything. Connections, transactions, errors."""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from ...errors import (
    ClosedError,
    IndexDamagedError,
    IndexLockedError,
    IndexNotFoundError,
    OutputError,
    SearchIndexError,
)
from ...machine.forks import ForkAware, never_destroy, register
from .records import About
from .transactions import Change, Reader, create_tables

DATABASE = "index.db"
_BUSY_SECONDS = 30.0
# A fork waits so long for what is under way in other threads.
_FORK_SECONDS = 5.0


def create_store(folder: Path, about: About, *, generation: int) -> None:
    """Write an empty database into ``folder``."""
    with contextlib.closing(sqlite3.connect(folder / DATABASE, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        create_tables(connection, about, generation=generation)


class Store(ForkAware):
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
        self._lock = threading.Condition()
        self._idle: list[sqlite3.Connection] = []
        self._writer: sqlite3.Connection | None = None
        # How many connections are in use.
        self._busy = 0
        self._closed = False
        # From now on, so that no connection of its is unknown to a fork.
        register("store", self)
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

    @contextlib.contextmanager
    def reading(self) -> "Iterator[Reader]":
        """Yield one state of the database, whatever writers do meanwhile."""
        with _said(self._path), self._used():
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
        with self._to_write() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield Change(connection, self._path)
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def shrink(self) -> None:
        """Give back to the system what deleted entries took."""
        with self._to_write() as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextlib.contextmanager
    def _to_write(self) -> Iterator[sqlite3.Connection]:
        with _said(self._path), self._used():
            if self._writer is None:
                self._writer = self._connect()
                # On disk at the end of every commit, not only whole.
                self._writer.execute("PRAGMA synchronous = FULL")
            yield self._writer

    @contextlib.contextmanager
    def _used(self) -> Iterator[None]:
        """Something is under way, which a fork waits for."""
        if self._path in _torn:
            raise SearchIndexError(
                f"{self._path}: was in use when this process was forked, and SQLite cannot open it here; fork at "
                "another time, or start the process by spawn"
            )
        with self._lock:
            self._refuse_if_closed()
            self._busy += 1
            here = self._lock
        try:
            yield
        finally:
            # In a forked child the lock is another one, and nothing was under way there.
            if here is self._lock:
                with here:
                    self._busy -= 1
                    here.notify_all()

    def _borrow(self) -> sqlite3.Connection:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self._connect()

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            if not self._closed and not isinstance(connection, _Fixed):
                self._idle.append(connection)
                return
        connection.close()

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise ClosedError("this index is closed; open it again")

    def _connect(self) -> sqlite3.Connection:
        quoted = self._path.absolute().as_uri()
        writable = os.access(self._path.parent, os.W_OK) and os.access(self._path, os.W_OK)
        # Readers share a small file with the writer. Where they cannot make it, nobody writes now, unless it is there.
        shared = writable or self._path.with_name(f"{DATABASE}-wal").exists()
        how = "mode=rw" if writable else "mode=ro" if shared else "mode=ro&immutable=1"
        connection = sqlite3.connect(
            f"{quoted}?{how}",
            uri=True,
            isolation_level=None,
            timeout=_BUSY_SECONDS,
            check_same_thread=False,
            factory=sqlite3.Connection if shared else _Fixed,
        )
        connection.execute("PRAGMA cell_size_check = ON")
        return connection

    def close(self) -> None:
        """Close the database. Closing twice is fine."""
        with self._lock:
            self._closed = True
            self._close_all()

    def _close_all(self) -> None:
        """Close what is not in use."""
        while self._idle:
            self._idle.pop().close()
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def _before_fork(self) -> None:
        """Close all connections, and let nobody open one.

        Those that are open do not survive a fork, not even to be closed; worse, SQLite goes on believing in a child
        that it has locked the database, and then locks nothing. What is closed leaves nothing behind, and is opened
        again when it is needed.
        """
        self._lock.acquire()
        self._lock.wait_for(lambda: not self._busy, _FORK_SECONDS)
        if not self._busy:
            self._close_all()

    def _after_fork_in_parent(self) -> None:
        """Go on."""
        self._lock.release()

    def _after_fork_in_child(self) -> None:
        """Begin anew, or where something was under way all the same, open nothing of this database any more."""
        inherited = [*self._idle, self._writer]
        if self._busy or any(inherited):
            _torn.add(self._path)
            for connection in inherited:
                never_destroy(connection)
        self._lock, self._idle, self._writer, self._busy = threading.Condition(), [], None, 0


class _Fixed(sqlite3.Connection):
    """Sees a database that nobody writes as it is now, and is not used again: somebody may write later."""


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


# Databases that were in use when this process was forked from another.
_torn: set[Path] = set()
