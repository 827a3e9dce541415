"""The database of an index, SQLite: the commit point of everything (docs/decisions/017-index-commit-point.md).

Its connections are shared by threads, and renewed after a fork.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from ...errors import ClosedError, DiskFullError, IndexNotFoundError, SearchIndexError
from ...machine.forks import ForkAware, never_destroy, register
from ...wording import Wording
from .changes import Change
from .connections import BUSY_SECONDS, ImmutableConnection, connect
from .faults import translating_faults
from .hold import Hold
from .key_kinds import KEY_KINDS
from .records import About, State
from .regular import check_regular
from .schema import create_tables
from .transactions import Reader
from .vectors import create_vector_file, vector_file_name

DATABASE = "index.db"
# Of the connections that are not in use, so many stay open; each may keep 32 MB of the database in memory. To open one
# takes a quarter of a millisecond.
_MOST_IDLE = 4
# How long a fork waits for other threads to finish what they do with a database.
_FORK_SECONDS = 5.0


def create_store(folder: Path, about: About, place: Path) -> None:
    """Write the files of an empty index into ``folder``; errors speak of ``place``, where they will lie."""
    path, name = folder / vector_file_name(1), bytes.fromhex(about.name)
    create_vector_file(path, dimension=about.dimension, generation=1, name=name)
    database = folder / DATABASE
    with (
        translating_faults(database, place),
        contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection,
    ):
        connection.execute("PRAGMA journal_mode = WAL")
        create_tables(connection, about, generation=1)


class Store(ForkAware):
    """The database of an index; may be used from many threads at once, by one writer at a time.

    Attributes:
        folder: the index's.
        about: what the index is.
    """

    about: About

    def __init__(self, folder: Path) -> None:
        """Open the database in ``folder``."""
        self.folder = folder
        self._path = folder / DATABASE
        self._lock = threading.Condition()
        self._idle: list[sqlite3.Connection] = []
        self._writer: sqlite3.Connection | None = None
        self._holds: set[Hold] = set()
        # How many connections are in use.
        self._busy = 0
        self._closed = False
        if not folder.is_dir():
            problem = "is a file, not an index's folder" if folder.exists() else "does not exist"
            maker = Wording("Index.create(folder, artifact)", "simcse-engine index create")
            raise IndexNotFoundError(f"{folder}: {problem}; ", maker, " makes one")
        check_regular(self._path)
        if not self._path.exists():
            raise IndexNotFoundError(f"{folder}: no {DATABASE} in it, so it is no index")
        # Of any kind, until the database says what its own are.
        self._keys = KEY_KINDS["int"]
        # Before the first connection, so that a fork knows of each.
        register("store", self)
        try:
            with self.reading() as reader:
                self.about = reader.about()
                self._keys = self.about.key_kind
                reader.state()
        except BaseException:
            self.close()
            raise

    @contextlib.contextmanager
    def reading(self, hold: Hold | None = None) -> Iterator[Reader]:
        """Yield one state of the database, whatever writers do meanwhile; that of a ``hold``, and keep it there."""
        with translating_faults(self._path), self._in_use():
            with self._lock:
                connection = None if hold is None else hold.take()
                if connection is None and self._idle:
                    connection = self._idle.pop()
            connection = connection or connect(self._path)
            try:
                if not connection.in_transaction:
                    connection.execute("BEGIN")
                yield Reader(connection, self._path, self._keys)
                if hold is not None:
                    self._keep(hold, connection)
            finally:
                if hold is None or hold.connection is not connection:
                    self._end(connection)

    def state(self) -> State:
        """The state of the database as of now."""
        with self.reading() as reader:
            return reader.state()

    @contextlib.contextmanager
    def writing(self) -> Iterator[Change]:
        """Yield the database for changes, which are on disk when the block ends, or undone if it ends with an error."""
        with self._write_connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield Change(connection, self._path, self._keys)
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def shrink(self) -> None:
        """Give the space of deleted entries back to the system; on a full disk it stays for later entries."""
        with contextlib.suppress(DiskFullError), self._write_connection() as connection:
            connection.execute("VACUUM")
        self.settle()

    def settle(self) -> None:
        """Move what the log holds into the database, and give the log's space back if no reader needs it now."""
        with contextlib.suppress(DiskFullError), self._write_connection() as connection:
            connection.execute("PRAGMA busy_timeout = 0")
            try:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")

    @contextlib.contextmanager
    def _write_connection(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection that writes, outside of a transaction."""
        with translating_faults(self._path), self._in_use():
            # Taken out, so that another thread that closes the index leaves it open.
            connection, self._writer = self._writer, None
            if connection is None:
                connection = connect(self._path)
                # At the end of a commit it is on disk, not only whole.
                connection.execute("PRAGMA synchronous = FULL")
            try:
                yield connection
            finally:
                with self._lock:
                    if not self._closed:
                        self._writer, connection = connection, None
                if connection is not None:
                    connection.close()

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

    def _keep(self, hold: Hold, connection: sqlite3.Connection) -> None:
        """Leave a transaction open, unless it has ended, or writers would be held off or not noticed meanwhile."""
        with self._lock:
            if connection.in_transaction and not self._closed and not isinstance(connection, ImmutableConnection):
                hold.connection = connection
                self._holds.add(hold)

    def release(self, hold: Hold) -> None:
        """End what a hold keeps."""
        with self._lock:
            self._holds.discard(hold)
            connection = hold.take()
        if connection is not None:
            self._end(connection)

    def _end(self, connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        with self._lock:
            kept = not self._closed and len(self._idle) < _MOST_IDLE
            if kept and not isinstance(connection, ImmutableConnection):
                self._idle.append(connection)
            else:
                # Here, where a fork waits for it.
                connection.close()

    def close(self) -> None:
        """Close the database. Closing twice is fine."""
        with self._lock:
            self._closed = True
            self._close_idle()

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()
        while self._holds:
            connection = self._holds.pop().take()
            if connection is not None:
                connection.close()
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
        inherited = [*self._idle, *(hold.take() for hold in self._holds), self._writer]
        if self._busy or any(inherited):
            _unusable_after_fork.add(self._path)
            for connection in inherited:
                never_destroy(connection)
        self._lock, self._idle, self._writer, self._busy = threading.Condition(), [], None, 0
        self._holds = set()


# Databases that were in use when this process was forked from another.
_unusable_after_fork: set[Path] = set()
