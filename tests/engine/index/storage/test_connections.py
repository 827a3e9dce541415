"""Reading where the disk has no room for the file that readers share with a writer."""

import contextlib
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from simcse_engine import Index
from simcse_engine.errors import DiskFullError, IndexLockedError
from simcse_engine.index.storage import lock
from simcse_engine.index.storage.store import _MOST_IDLE
from support.disks import fill, small_disk
from support.indexes import ROWS, filled, unit_vectors

SHARED = ("index.db-shm", "index.db-wal")


def test_few_stay_open_that_are_not_in_use(folder: Path) -> None:
    with Index.open(folder, read_only=True) as index:
        with contextlib.ExitStack() as readers:
            for _ in range(20):
                assert readers.enter_context(index._store.reading()).state().entries == ROWS
        assert len(index._store._idle) == _MOST_IDLE < 20
        assert index._store.state().entries == ROWS


def test_a_full_disk_is_read(tmp_path: Path, artifact: Path) -> None:
    with small_disk(tmp_path / "disk", 2 << 20) as disk:
        vectors = filled(disk / "index", artifact, 100)
        fill(disk / "filler")
        with Index.open(disk / "index", read_only=True) as index, Index.open(disk / "index", read_only=True) as other:
            assert len(index) == len(other) == 100
            found: list[int] = []
            threads = [
                threading.Thread(target=lambda i=i: found.append(index.search(vectors[[i]], k=1)[0][0].key))  # type: ignore[misc]
                for i in range(8)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert sorted(found) == list(range(8))
            with index._store.reading() as reader, other._store.reading() as beside:
                assert reader.state() == beside.state() == index._store.state()
        (disk / "filler").unlink()
        with Index.open(disk / "index", read_only=False) as index:
            index.add_vectors(unit_vectors(1, 7), ["more"])
            assert len(index) == 101


def test_a_writer_waits_for_who_reads_a_full_disk(
    tmp_path: Path, artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(tmp_path / "disk", 2 << 20) as disk:
        filled(disk / "index", artifact, 100)
        fill(disk / "filler")
        with Index.open(disk / "index", read_only=True) as reader:
            with reader._store.reading() as reading:
                reading.state()
                (disk / "filler").unlink()
                monkeypatch.setattr(lock, "_READERS_SECONDS", 0.1)
                with pytest.raises(IndexLockedError):
                    Index.open(disk / "index", read_only=False)
            with Index.open(disk / "index", read_only=False) as writer:
                writer.add_vectors(unit_vectors(1, 7), ["more"])
                # What a writer has is shared, however full the disk is.
                fill(disk / "filler")
                assert len(reader) == 101


def test_what_a_killed_writer_has_left_is_not_passed_over(tmp_path: Path, artifact: Path) -> None:
    """The database alone is an earlier state, so it is read with its log or not at all."""
    filled(tmp_path / "index", artifact, 100)
    with Index.open(tmp_path / "index", read_only=False) as index, small_disk(tmp_path / "disk", 2 << 20) as disk:
        index.add_vectors(unit_vectors(1, 7), ["more"])
        shutil.copytree(tmp_path / "index", disk / "index")
        (disk / "index/index.db-shm").unlink()
        fill(disk / "filler")
        with pytest.raises(DiskFullError, match="the disk is full"):
            Index.open(disk / "index", read_only=True)
        (disk / "filler").unlink()
        with Index.open(disk / "index", read_only=True) as copied:
            assert len(copied) == 101


def test_a_disk_that_can_only_be_read(tmp_path: Path, artifact: Path) -> None:
    with small_disk(tmp_path / "disk", 2 << 20) as disk:
        vectors = filled(disk / "index", artifact, 100)
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        with Index.open(disk / "index", read_only=True) as index:
            assert index.search(vectors[[3]], k=1)[0][0].key == 3
        assert not [name for name in SHARED if (disk / "index" / name).exists()]
