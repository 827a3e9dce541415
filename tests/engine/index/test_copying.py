"""An index is copied whole, and whoever has it open keeps it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from simcse_engine import Encoder, Index
from simcse_engine.errors import DiskFullError, IndexLockedError, OutputError
from simcse_engine.index.copying import copy_index
from support.child import run_script
from support.disks import small_disk
from support.indexes import ROWS, SMALL, names, unit_vectors


@pytest.fixture(scope="module")
def encoder(artifact: Path) -> Iterator[Encoder]:
    with Encoder(artifact) as encoder:
        yield encoder


def test_all_of_it_and_nothing_else(folder: Path, encoder: Encoder, tmp_path: Path) -> None:
    """What lies beside it stays there; a pipe would be waited for."""
    queries = unit_vectors(5)
    os.mkfifo(folder / "pipe")
    (folder / "vectors-backup.f32").write_text("mine")
    with Index(folder, limits=SMALL) as index:
        index.remove([3])
        index.compact()
        index.add_vectors(unit_vectors(1, 7), ["late"])
        # What stands in the log alone is copied too.
        assert (folder / "index.db-wal").stat().st_size
        index._writing.release()
        copy_index(folder, tmp_path / "copy", encoder)
        expected = index.search(queries, exact=False)
    assert {path.name.partition("-")[0] for path in (tmp_path / "copy").iterdir()} == {"graph", "index.db", "vectors"}
    with Index(tmp_path / "copy", limits=SMALL) as copy:
        assert copy.search(queries, exact=False) == expected
        assert copy.info().in_graph == ROWS - 1
        assert copy.add_vectors(unit_vectors(1, 8), ["later"]) == [ROWS + 1]
    with pytest.raises(OutputError, match="exists"):
        copy_index(folder, tmp_path / "copy", encoder)


def test_who_has_it_open_keeps_their_locks(folder: Path, encoder: Encoder, tmp_path: Path) -> None:
    """Another process that opens the database must see that it is open here: the last one to leave removes the log."""
    with Index(folder, limits=SMALL) as index:
        assert len(index) == ROWS
        copy_index(folder, tmp_path / "copy", encoder)
        script = """
            import sqlite3, sys
            with sqlite3.connect(sys.argv[1]) as other:
                print(other.execute("SELECT count(*) FROM entries").fetchone()[0])
            other.close()
        """
        assert run_script(script, folder / "index.db") == f"{ROWS}\n"
        assert (folder / "index.db-wal").exists()
        index.add_vectors(unit_vectors(1, 7), names(1, ROWS))
    assert len(Index.open(folder)) == ROWS + 1


def test_nobody_writes_meanwhile(folder: Path, encoder: Encoder, tmp_path: Path) -> None:
    with Index.open(folder, read_only=False), pytest.raises(IndexLockedError):
        copy_index(folder, tmp_path / "copy", encoder)
    assert not (tmp_path / "copy").exists()


def test_a_copy_without_its_graph(folder: Path, encoder: Encoder, tmp_path: Path) -> None:
    for graph in folder.glob("graph-*"):
        graph.unlink()
    copy_index(folder, tmp_path / "copy", encoder)
    with Index(tmp_path / "copy", limits=SMALL) as copy:
        assert len(copy.search(unit_vectors(1), exact=True)[0]) == 5


def test_a_full_disk_is_told_as_the_copys(folder: Path, encoder: Encoder, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 20 << 10) as disk, pytest.raises(DiskFullError, match="disk/copy: the disk is"):
        copy_index(folder, disk / "copy", encoder)
