"""Connections to an index's database, as its folder and its disk allow them."""

import os
import sqlite3
from pathlib import Path
from typing import TypeVar

from .exact import add_functions
from .lock import LOCK, WritersHeldOff
from .regular import check_regular

BUSY_SECONDS = 30.0
# Hits lie here and there in the database: with SQLite's own 2 MB of cache nearly each takes a read of the file, and
# twice the time. A connection takes no more of it than it reads.
_CACHE_KB = 32 << 10
# What SQLite opens beside a database, by name.
_BESIDE = ("-wal", "-shm", "-journal")
# What SQLite reports where it cannot make the file that readers and a writer share.
_NOT_SHARED = (sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMOPEN, sqlite3.SQLITE_CANTOPEN)


class ImmutableConnection(sqlite3.Connection):
    """Reads a database that nobody can be writing now. It is not used again, as somebody may write later.

    Attributes:
        guard: what holds writers off meanwhile, if they could write.
    """

    guard: WritersHeldOff | None = None

    def close(self) -> None:
        """Close the database, and let writers in."""
        super().close()
        if self.guard is not None:
            self.guard.release()


AnyConnection = TypeVar("AnyConnection", bound=sqlite3.Connection)


def connect(path: Path) -> sqlite3.Connection:
    """Open the database at ``path``, for writing where that is allowed."""
    connection = _connected(path)
    try:
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
    except BaseException:
        connection.close()
        raise
    return connection


def _connected(path: Path) -> sqlite3.Connection:
    for suffix in ("", *_BESIDE):
        check_regular(path.with_name(f"{path.name}{suffix}"))
    writable = os.access(path.parent, os.W_OK) and os.access(path, os.W_OK)
    # Readers share a small file with the writer. If they cannot make it, nobody writes now, unless there is a log.
    if not writable and not _log_of(path).exists():
        return _opened(path, "mode=ro&immutable=1", ImmutableConnection)
    connection = _opened(path, "mode=rw" if writable else "mode=ro", sqlite3.Connection)
    try:
        connection.execute("PRAGMA schema_version")  # opens what is shared
    except sqlite3.OperationalError as error:
        connection.close()
        if error.sqlite_errorcode not in _NOT_SHARED:
            raise
        return _unshared(path, error)
    return connection


def _unshared(path: Path, error: sqlite3.OperationalError) -> ImmutableConnection:
    """Open the database where the disk has no room for what is shared: nobody writes, and writers are held off.

    Raises ``error`` if there is a writer, or one has left something in the log.
    """
    guard = WritersHeldOff.now(path.with_name(LOCK))
    if guard is None:
        raise error
    try:
        if _log_of(path).exists() and _log_of(path).stat().st_size:
            raise error
        connection = _opened(path, "mode=ro&immutable=1", ImmutableConnection)
    except BaseException:
        guard.release()
        raise
    connection.guard = guard
    return connection


def _opened(path: Path, mode: str, kind: type[AnyConnection]) -> AnyConnection:
    connection: AnyConnection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{mode}",
        uri=True,
        isolation_level=None,
        timeout=BUSY_SECONDS,
        check_same_thread=False,
        factory=kind,
    )
    connection.execute("PRAGMA cell_size_check = ON")
    add_functions(connection)
    connection.create_function("text_hash", 1, hash, deterministic=True)
    return connection


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")
