"""The tables of an index's database: made once, and compared before anything is asked of a database."""

import sqlite3
from pathlib import Path

from ...errors import IndexDamagedError, IndexVersionError
from .keys import KeyKind
from .keywords import create_keywords
from .records import About, state_checksum

# 2 where an index has what the first did not (`About.format`).
FORMATS = (1, 2)
# "SCSE", in SQLite's own header: tells an index from any other database.
_APPLICATION = 0x53435345

_ENTRIES = """CREATE TABLE {name} (
    row INTEGER PRIMARY KEY, key {column} NOT NULL UNIQUE, text TEXT NOT NULL, metadata TEXT, checksum INTEGER NOT NULL
)"""
_TABLES = {
    "dead": "CREATE TABLE dead (number INTEGER PRIMARY KEY, row INTEGER NOT NULL)",
    "about": "CREATE TABLE about (content TEXT NOT NULL)",
    "state": "CREATE TABLE state (generation INTEGER, rows INTEGER, next_key INTEGER, graph TEXT, checksum INTEGER)",
}


def create_tables(connection: sqlite3.Connection, about: About, *, generation: int) -> None:
    """Write an empty index's tables into an empty database."""
    connection.execute(f"PRAGMA application_id = {_APPLICATION}")
    connection.execute(f"PRAGMA user_version = {about.format}")
    connection.execute("BEGIN")
    for statement in (_entries("entries", about.key_kind), *_TABLES.values()):
        connection.execute(statement)
    if about.keywords:
        create_keywords(connection)
    connection.execute("INSERT INTO about VALUES (?)", (about.to_json(),))
    facts = (generation, 0, 0, None)
    connection.execute("INSERT INTO state VALUES (?, ?, ?, ?, ?)", (*facts, state_checksum(*facts)))
    connection.execute("COMMIT")


def replace_about(connection: sqlite3.Connection, about: About) -> None:
    """Say anew what the index is."""
    connection.execute(f"PRAGMA user_version = {about.format}")
    connection.execute("UPDATE about SET content = ?", (about.to_json(),))


def replace_entries(connection: sqlite3.Connection, selection: str, keys: KeyKind) -> None:
    """Make what a SELECT gives the table of entries."""
    connection.execute(_entries("renumbered", keys))
    connection.execute(f"INSERT INTO renumbered {selection}")
    connection.execute("DROP TABLE entries")
    connection.execute("ALTER TABLE renumbered RENAME TO entries")


def check_tables(connection: sqlite3.Connection, path: Path) -> int:
    """The format of the database at ``path``, which must be an index's: a view or a trigger would be code of others."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != _APPLICATION:
        raise IndexDamagedError(f"{path}: is a database, but not an index's")
    if version not in FORMATS:
        advice = "upgrade simcse-engine" if version > max(FORMATS) else "build the index again"
        raise IndexVersionError(f"{path}: format {version}, this engine reads formats 1 to {max(FORMATS)}; {advice}")
    found = {}
    for kind, name, statement in connection.execute("SELECT type, name, sql FROM sqlite_master"):
        if kind in ("view", "trigger"):
            raise IndexDamagedError(f"{path}: has the {kind} {name!r:.40}, and no index has any; restore a backup")
        found[name] = statement
    for name, statement in _TABLES.items():
        if found.get(name) != statement:
            raise _no_table(path, name)
    return int(version)


def check_entries(connection: sqlite3.Connection, path: Path, keys: KeyKind) -> None:
    """Raise IndexDamagedError unless the table of entries is one for these keys."""
    found = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'entries'").fetchone()
    # The second is as SQLite writes it down after `replace_entries`.
    if found not in [(_entries(name, keys),) for name in ("entries", '"entries"')]:
        raise _no_table(path, "entries")


def _entries(name: str, keys: KeyKind) -> str:
    return _ENTRIES.format(name=name, column=keys.column)


def _no_table(path: Path, name: str) -> IndexDamagedError:
    return IndexDamagedError(f"{path}: its table {name!r} is missing or another's; restore a backup")
