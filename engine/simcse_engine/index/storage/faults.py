"""Faults: what SQLite reports of an index's database, as errors of ours. Only damage is told as damage."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from ...errors import (
    DiskFullError,
    IndexDamagedError,
    IndexLockedError,
    InputValueError,
    OutputError,
    SearchIndexError,
    SimCSEError,
)
from ...files.refusals import read_refusal, unreadable, unwritable, write_refusal
from ...wording import Wording

# How an index of words that is damaged is mended.
REBUILT = Wording(
    "build_keywords() builds it again, or restore a backup",
    "simcse-engine index keywords builds it again, or restore a backup",
)
_SAFE = "what was acknowledged is safe"
_DAMAGED = (IndexDamagedError, "cannot be read ({error}); restore the file from a backup")
_HELD = (IndexLockedError, "another program holds the database; end it, or wait")
_INTERRUPTED = (SearchIndexError, "was interrupted ({error}); try again")
_UNLOCKABLE = (OutputError, "cannot be locked ({error}); use a file system with locks")
_UNFINISHED = (SearchIndexError, "was left amid a change ({error}); open it once where it may be written")
# By SQLite's extended code, and where that has no row, by the primary one, its lowest 8 bits.
_FAULTS: dict[int, tuple[type[SimCSEError], str]] = {
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    # Our statements violate nothing in a database that is what it says.
    sqlite3.SQLITE_CONSTRAINT: _DAMAGED,
    sqlite3.SQLITE_MISMATCH: _DAMAGED,
    sqlite3.SQLITE_FULL: (DiskFullError, f"the disk is full; {_SAFE}"),
    sqlite3.SQLITE_BUSY: _HELD,
    sqlite3.SQLITE_LOCKED: _HELD,
    sqlite3.SQLITE_PROTOCOL: _HELD,
    sqlite3.SQLITE_READONLY: (OutputError, "can only be read ({error}), as searching does"),
    sqlite3.SQLITE_READONLY_RECOVERY: _UNFINISHED,
    sqlite3.SQLITE_READONLY_CANTINIT: _UNFINISHED,
    sqlite3.SQLITE_READONLY_CANTLOCK: _UNFINISHED,
    sqlite3.SQLITE_READONLY_DIRECTORY: _UNFINISHED,
    sqlite3.SQLITE_READONLY_DBMOVED: (SearchIndexError, "was moved or replaced since it was opened; open it again"),
    sqlite3.SQLITE_PERM: (OutputError, "cannot be opened or written ({error})"),
    sqlite3.SQLITE_CANTOPEN: (OutputError, "cannot be opened ({error}); look at the permissions of its folder"),
    sqlite3.SQLITE_IOERR: (
        SearchIndexError,
        "the system fails to read or write it ({error}, {name}); look at the disk and at the system's log",
    ),
    sqlite3.SQLITE_IOERR_LOCK: _UNLOCKABLE,
    sqlite3.SQLITE_IOERR_RDLOCK: _UNLOCKABLE,
    sqlite3.SQLITE_IOERR_UNLOCK: _UNLOCKABLE,
    sqlite3.SQLITE_IOERR_CHECKRESERVEDLOCK: _UNLOCKABLE,
    sqlite3.SQLITE_TOOBIG: (InputValueError, "a text or its metadata is larger than SQLite holds ({error})"),
    sqlite3.SQLITE_NOLFS: (OutputError, "is larger than files may be on this system"),
    sqlite3.SQLITE_INTERRUPT: _INTERRUPTED,
    sqlite3.SQLITE_ABORT: _INTERRUPTED,
    sqlite3.SQLITE_SCHEMA: (SearchIndexError, "another program changed its tables; open the index again"),
}
_OTHER = (SearchIndexError, "SQLite {version} refuses ({error}, {name}); a newer Python brings a newer one")
# Of codes that do not say what the system answered, those of who would write; the memory that readers and a writer
# share is a file too.
_WRITING = frozenset(
    {
        *(sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC),
        *(sqlite3.SQLITE_IOERR_DIR_FSYNC, sqlite3.SQLITE_IOERR_TRUNCATE, sqlite3.SQLITE_IOERR_CLOSE),
        *(sqlite3.SQLITE_IOERR_SHMOPEN, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_DELETE),
    }
)
_NO_MEMORY = (sqlite3.SQLITE_IOERR_NOMEM, sqlite3.SQLITE_IOERR_SHMMAP, sqlite3.SQLITE_IOERR_MMAP)


@contextlib.contextmanager
def translating_faults(path: Path, place: Path | None = None) -> Iterator[None]:
    """Turn SQLite's errors about the database at ``path`` into ours, which speak of ``place`` if it is given."""
    try:
        yield
    except (sqlite3.ProgrammingError, sqlite3.InterfaceError):
        raise
    except sqlite3.DatabaseError as error:
        raise _fault(path, place or path, error) from error


def _fault(path: Path, place: Path, error: sqlite3.DatabaseError) -> Exception:
    # Without a code, Python's own: a text that is not UTF-8.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    primary = code & 0xFF
    if code in _NO_MEMORY:
        return MemoryError(f"{place}: {error}")
    if code in _WRITING or primary == sqlite3.SQLITE_CANTOPEN:
        if (refusal := read_refusal(path)) is not None:
            return unreadable(place, refusal, SearchIndexError)
        # What has not been moved into the database yet stands in its log.
        log = path.with_name(f"{path.name}-wal")
        if (refusal := write_refusal(path) or write_refusal(log)) is not None:
            return unwritable(place, refusal, _SAFE)
    if primary == sqlite3.SQLITE_ERROR and str(error).startswith(
        ("no such table", "no such column", "malformed JSON", "user-defined function")
    ):
        primary = sqlite3.SQLITE_CORRUPT
    if code == sqlite3.SQLITE_CORRUPT_VTAB:  # of virtual tables, an index has one
        return IndexDamagedError(f"{place}: the index of its words is damaged ({error}); ", REBUILT)
    if str(error).startswith("no such module"):
        return SearchIndexError(
            f"{place}: SQLite {sqlite3.sqlite_version} has no FTS5 ({error}), which an index of words takes; a Python "
            "from python.org or conda has it"
        )
    kind, sentence = _FAULTS.get(code) or _FAULTS.get(primary) or _OTHER
    name = getattr(error, "sqlite_errorname", "")
    return kind(f"{place}: {sentence.format(error=error, name=name, version=sqlite3.sqlite_version)}")
