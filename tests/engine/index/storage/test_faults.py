"""What SQLite reports is told as what it is: only damage as damage."""

import sqlite3
from pathlib import Path

import pytest

from simcse_engine import Index
from simcse_engine.errors import (
    DiskFullError,
    IndexDamagedError,
    IndexLockedError,
    InputValueError,
    OutputError,
    SearchIndexError,
    SimCSEError,
)
from simcse_engine.index.storage.faults import translating_faults
from support.child import run_script
from support.disks import fill, small_disk
from support.users import let_others_in

PRIMARY = {
    *("ERROR", "INTERNAL", "PERM", "ABORT", "BUSY", "LOCKED", "NOMEM", "READONLY", "INTERRUPT", "IOERR", "CORRUPT"),
    *("NOTFOUND", "FULL", "CANTOPEN", "PROTOCOL", "EMPTY", "SCHEMA", "TOOBIG", "CONSTRAINT", "MISMATCH", "NOLFS"),
    *("AUTH", "FORMAT", "NOTADB"),
}
DAMAGE = {"CORRUPT", "NOTADB", "CONSTRAINT", "MISMATCH"}
CODES = {
    name: getattr(sqlite3, name)
    for name in vars(sqlite3)
    if name.startswith("SQLITE_") and name.split("_")[1] in PRIMARY and getattr(sqlite3, name) & 0xFF < 27
}


def translated(path: Path, name: str, message: str) -> Exception:
    error = sqlite3.OperationalError(message)
    error.sqlite_errorcode, error.sqlite_errorname = CODES[name], name
    with pytest.raises((SimCSEError, MemoryError)) as caught, translating_faults(path):
        raise error
    assert str(path) in str(caught.value)
    assert "{" not in str(caught.value)
    return caught.value


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "index.db"
    path.touch()
    return path


@pytest.mark.parametrize("name", CODES)
def test_only_damage_is_told_as_damage(database: Path, name: str) -> None:
    found = translated(database, name, "what SQLite says")
    assert isinstance(found, IndexDamagedError) == (name.split("_")[1] in DAMAGE)
    assert ("backup" in str(found)) == isinstance(found, IndexDamagedError)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("SQLITE_FULL", DiskFullError, "the disk is full"),
        ("SQLITE_READONLY", OutputError, "can only be read"),
        ("SQLITE_READONLY_DBMOVED", SearchIndexError, "moved or replaced"),
        ("SQLITE_READONLY_CANTINIT", SearchIndexError, "left amid a change"),
        ("SQLITE_PERM", OutputError, "cannot be opened or written"),
        ("SQLITE_CANTOPEN", OutputError, "permissions of its folder"),
        ("SQLITE_BUSY_SNAPSHOT", IndexLockedError, "another program holds"),
        ("SQLITE_LOCKED", IndexLockedError, "another program holds"),
        ("SQLITE_PROTOCOL", IndexLockedError, "another program holds"),
        ("SQLITE_IOERR_READ", SearchIndexError, "SQLITE_IOERR_READ.*system's log"),
        ("SQLITE_IOERR_WRITE", SearchIndexError, "SQLITE_IOERR_WRITE.*system's log"),
        ("SQLITE_IOERR_LOCK", OutputError, "cannot be locked"),
        ("SQLITE_IOERR_NOMEM", MemoryError, "what SQLite says"),
        ("SQLITE_IOERR_SHMMAP", MemoryError, "what SQLite says"),
        ("SQLITE_TOOBIG", InputValueError, "larger than SQLite holds"),
        ("SQLITE_INTERRUPT", SearchIndexError, "was interrupted"),
        ("SQLITE_SCHEMA", SearchIndexError, "changed its tables"),
        ("SQLITE_ERROR", SearchIndexError, f"SQLite {sqlite3.sqlite_version} refuses"),
    ],
)
def test_each_has_its_sentence(database: Path, name: str, error: type[Exception], message: str) -> None:
    found = translated(database, name, "what SQLite says")
    assert type(found) is error
    with pytest.raises(error, match=message):
        raise found


@pytest.mark.parametrize("message", ["no such table: dead", "no such column: row", "malformed JSON"])
def test_a_database_of_another_shape_is_damaged(database: Path, message: str) -> None:
    assert isinstance(translated(database, "SQLITE_ERROR", message), IndexDamagedError)


def test_the_system_s_answer_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "disk/index.db"
    with small_disk(tmp_path / "disk", 64 << 10) as disk:
        path.touch()
        fill(disk / "filler")
        for name in ("SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_WRITE", "SQLITE_CANTOPEN"):
            assert "the disk is full; what was acknowledged is safe" in str(translated(path, name, "disk I/O error"))
        # Who reads is refused nothing by a full disk.
        assert "full" not in str(translated(path, "SQLITE_IOERR_READ", "disk I/O error"))
    found = translated(tmp_path / "gone.db", "SQLITE_CANTOPEN", "unable to open database file")
    assert type(found) is SearchIndexError
    assert "No such file" in str(found)


@pytest.mark.parametrize("left", [0, 8, 32, 48])
def test_no_room_for_a_new_index(tmp_path: Path, artifact: Path, left: int) -> None:
    with small_disk(tmp_path / "disk", 1 << 20) as disk:
        fill(disk / "filler", leave=left << 10)
        with pytest.raises(DiskFullError, match=f"^{disk / 'index'}: the disk is full"):
            Index.create(disk / "index", artifact)
        assert [path.name for path in disk.iterdir()] == ["filler"]


LIMITED = """
    import resource, sys
    from simcse_engine import Index
    from simcse_engine.errors import SimCSEError
    index = Index.open(sys.argv[1])
    which = getattr(resource, sys.argv[2])
    soft, hard = resource.getrlimit(which)
    resource.setrlimit(which, (int(sys.argv[3]), hard))
    try:
        if which == resource.RLIMIT_NOFILE:
            Index.open(sys.argv[1], read_only=True)
        index.add_vectors([[1.0] + [0.0] * 31] * 3, ["x" * 200_000] * 3)
    except SimCSEError as error:
        print(type(error).__name__, error)
    resource.setrlimit(which, (soft, hard))
    assert len(index) == 0
    index.close()
"""


def test_limits_on_files_are_named(tmp_path: Path, artifact: Path) -> None:
    Index.create(tmp_path / "index", artifact).close()
    told = run_script(LIMITED, tmp_path / "index", "RLIMIT_NOFILE", 4)
    assert told.startswith("LimitError no more files can be opened")
    assert "may have 4 open at once (ulimit -n)" in told
    told = run_script(LIMITED, tmp_path / "index", "RLIMIT_FSIZE", 300_000)
    assert told.startswith("OutputError")
    assert "would grow beyond this process's 300,000 bytes for a file (ulimit -f)" in told


def test_a_database_without_permission(tmp_path: Path, artifact: Path) -> None:
    folder = tmp_path / "index"
    Index.create(folder, artifact).close()
    let_others_in(tmp_path)
    (folder / "index.db").chmod(0)
    script = """
        import os, sys
        from simcse_engine import Index
        from simcse_engine.errors import SearchIndexError
        if os.geteuid() == 0:
            os.setuid(65534)
        try:
            Index.open(sys.argv[1], read_only=True)
        except SearchIndexError as error:
            assert type(error) is SearchIndexError
            print(error)
    """
    assert run_script(script, folder) == f"{folder / 'index.db'}: cannot be read (Permission denied)\n"
