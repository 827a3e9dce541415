"""Connections to an index's database: shared by threads, renewed after a fork, and with errors of ours."""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from ...errors import ClosedError, IndexDamagedError, IndexLockedError, OutputError, SearchIndexError
from ...machine.forks import ForkAware, never_destroy, register

_BUSY_SECONDS = 30.0
# How long a fork waits for other threads to finish what they do with a database.
_FORK_SECONDS = 5.0


class ImmutableConnection(sqlite3.Connection):
    """Reads a database that nobody can be writing now. It is not used again, as somebody may write later."""


class Connections(ForkAware):
    """The connections to one database; may be used from many threads at once, by one writer at a time."""

    def __init__(self, path: Path) -> None:
        """Open none yet; ``path`` is the database's."""
        self._path = path
        self._lock = threading.Condition()
        self._idle: list[sqlite3.Connection] = []
        self._writer: sqlite3.Connection | None = None
        # How many are in use.
        self._busy = 0
        self._closed = False
        # Before the first connection, so that a fork knows of each.
        register("store", self)

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection within a transaction, which sees one state whatever writers do meanwhile."""
        with translating_errors(self._path), self._in_use():
            connection = self._take()
            try:
                connection.execute("BEGIN")
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                self._give_back(connection)

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection that writes, outside of a transaction."""
        with translating_errors(self._path), self._in_use():
            if self._writer is None:
                self._writer = self._connect()
                # At the end of a commit it is on disk, not only whole.
                self._writer.execute("PRAGMA synchronous = FULL")
            yield self._writer

    @contextlib.contextmanager
    def _in_use(self) -> Iterator[None]:
        """Make a fork wait for the end of the block."""
        if self._path in _unusable_after_fork:
            raise SearchIndexError(
                f"{self._path}: was in use when this process was forked, and SQLite cannot open it here; fork at "
                "another time, or start the process by spawn"
            )
        with self._lock:
            if self._closed:
                raise ClosedError("this index is closed; open it again")
            self._busy += 1
            lock = self._lock
        try:
            yield
        finally:
            # A forked child has another lock, and nothing in use.
            if lock is self._lock:
                with lock:
                    self._busy -= 1
                    lock.notify_all()

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self._connect()

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            if not self._closed and not isinstance(connection, ImmutableConnection):
                self._idle.append(connection)
                return
        connection.close()

    def _connect(self) -> sqlite3.Connection:
        writable = os.access(self._path.parent, os.W_OK) and os.access(self._path, os.W_OK)
        # Readers share a small file with the writer. If they cannot make it, nobody writes now, unless it is there.
        shared = writable or self._path.with_name(f"{self._path.name}-wal").exists()
        mode = "mode=rw" if writable else "mode=ro" if shared else "mode=ro&immutable=1"
        connection = sqlite3.connect(
            f"{self._path.absolute().as_uri()}?{mode}",
            uri=True,
            isolation_level=None,
            timeout=_BUSY_SECONDS,
            check_same_thread=False,
            factory=sqlite3.Connection if shared else ImmutableConnection,
        )
        connection.execute("PRAGMA cell_size_check = ON")
        return connection

    def close(self) -> None:
        """Close all. Closing twice is fine."""
        with self._lock:
            self._closed = True
            self._close_idle()

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def _before_fork(self) -> None:
        """Close all connections, and keep other threads from opening one.

        An open connection does not survive a fork, not even to be closed; worse, SQLite in the child goes on believing
        that it has locked the database, and then locks nothing. A closed one leaves nothing behind, and is opened again
        when it is needed.
        """
        self._lock.acquire()
        self._lock.wait_for(lambda: not self._busy, _FORK_SECONDS)
        if not self._busy:
            self._close_idle()

    def _after_fork_in_parent(self) -> None:
        self._lock.release()

    def _after_fork_in_child(self) -> None:
        """Begin anew; if a connection was in use all the same, never open this database again."""
        inherited = [*self._idle, self._writer]
        if self._busy or any(inherited):
            _unusable_after_fork.add(self._path)
            for connection in inherited:
                never_destroy(connection)
        self._lock, self._idle, self._writer, self._busy = threading.Condition(), [], None, 0


# Databases that were in use when this process was forked from another.
_unusable_after_fork: set[Path] = set()


@contextlib.contextmanager
def translating_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors about the database at ``path`` into ours."""
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
