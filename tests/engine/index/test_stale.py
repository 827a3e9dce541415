"""Writers delete what their database is done with, and nothing that is perhaps a user's or of another time."""

import shutil
from pathlib import Path

import pytest

from simcse_engine import Index
from simcse_engine.errors import DiskFullError, IndexDamagedError
from simcse_engine.index.ann.saved import SavedGraph
from simcse_engine.index.stale import next_generation, stale_files
from simcse_engine.index.storage.records import State
from support.child import run_script
from support.indexes import ROWS, SMALL, names, unit_vectors

GRAPH = SavedGraph(file="graph-3-0123abcd.usearch", size_bytes=1, pieces=("x",), covered=1, members=1, strays=())
STATE = State(generation=3, rows=1, deaths=0, next_key=1, graph=GRAPH.to_json())

STALE = [
    "vectors-1.f32",
    "vectors-2.f32",
    "graph-1-0123abcd.usearch",
    "graph-3-00000000.usearch",
    ".graph-3-00000000.usearch.partial-0123abcd",
    ".graph-9-00000000.usearch.partial-ab_d0123",
    ".vectors-4.f32.partial-0123abcd",
]
BEGUN = ["vectors-4.f32", "graph-4-0123abcd.usearch"]
OTHERS = [
    "vectors-3.f32",
    "graph-3-0123abcd.usearch",
    # Of a later state than the database's.
    "vectors-5.f32",
    "graph-5-0123abcd.usearch",
    # A user's.
    *("vectors-backup.f32", "vectors-1.f32.bak", "vectors-.f32", "vectors-01.f32", "vectors-0.f32", "vectors-1 .f32"),
    *("my-vectors-1.f32", "vectors-1.F32", "vectors-1.f32\n", "vectors-٣.f32", "vectors-1111111111111111.f32"),
    *("graph-mine.usearch", "graph-1.usearch", "graph-1-mine.usearch", "graph-1-0123ABCD.usearch"),
    *("graph-1-0123abcd0.usearch", ".graph-mine.usearch.partial-0123abcd", ".vectors-1.f32.partial-mine"),
    *("index.db", "lock", "notes.txt"),
]


@pytest.mark.parametrize("begun", [None, 4])
def test_what_is_stale(tmp_path: Path, begun: int | None) -> None:
    for name in [*STALE, *BEGUN, *OTHERS]:
        (tmp_path / name).touch()
    expected = {*STALE, *(BEGUN if begun else [])}
    assert {path.name for path in stale_files(tmp_path, STATE, begun=begun)} == expected
    assert next_generation(tmp_path, STATE) == 6


def test_the_files_of_a_compaction_that_counts_are_not_stale(tmp_path: Path) -> None:
    for name in ("vectors-3.f32", GRAPH.file):
        (tmp_path / name).touch()
    assert list(stale_files(tmp_path, STATE, begun=3)) == []
    assert next_generation(tmp_path, STATE) == 4


def test_a_writer_leaves_others_files_alone(folder: Path) -> None:
    mine = ["vectors-backup.f32", "graph-mine.usearch", "vectors-7.f32", "graph-7-00000000.usearch"]
    for name in mine:
        (folder / name).write_text("mine")
    with Index(folder, limits=SMALL) as index:
        index.add_vectors(unit_vectors(100, 3), names(100, 500))
        index.checkpoint()
        assert [(folder / name).read_text() for name in mine] == ["mine"] * 4
        index.compact()
        assert [(folder / name).read_text() for name in mine[:2]] == ["mine"] * 2
        # Later than what the database had, and never written over.
        assert (folder / "vectors-8.f32").exists()
        assert len(index.search(unit_vectors(100, 3), k=1, threshold=0.999)) == 100


def test_an_earlier_database_deletes_nothing_of_a_later_one(folder: Path) -> None:
    earlier = (folder / "index.db").read_bytes()
    with Index(folder, limits=SMALL) as index:
        index.remove([1])
        index.compact()
        found = index.search(unit_vectors(5), exact=True)
    later = {path.name: path.read_bytes() for path in folder.iterdir()}
    (folder / "index.db").write_bytes(earlier)
    with pytest.raises(IndexDamagedError, match=r"vectors-1\.f32: missing"):
        Index.open(folder, read_only=False)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "index.db"} == {
        name: content for name, content in later.items() if name != "index.db"
    }
    (folder / "index.db").write_bytes(later["index.db"])
    with Index(folder, limits=SMALL, read_only=False) as index:
        assert index.search(unit_vectors(5), exact=True) == found


def test_an_earlier_database_with_its_vectors(whole: Path, folder: Path) -> None:
    with Index(folder, limits=SMALL) as index:
        index.compact()
    vectors = (folder / "vectors-2.f32").read_bytes()
    for name in ("index.db", "vectors-1.f32"):
        shutil.copy(whole / name, folder / name)
    with Index(folder, limits=SMALL) as index:
        index.remove([1])
        assert (folder / "vectors-2.f32").read_bytes() == vectors
        index.compact()
    assert sorted(path.name for path in folder.glob("vectors-*")) == ["vectors-3.f32"]


def test_what_a_killed_compaction_left(folder: Path) -> None:
    for name in (".vectors-2.f32.partial-0123abcd", "graph-1-00000000.usearch"):
        (folder / name).touch()
    before = {path.name for path in folder.iterdir()}
    Index.open(folder, read_only=False).close()
    left = {path.name for path in folder.iterdir()}
    assert before - left == {".vectors-2.f32.partial-0123abcd", "graph-1-00000000.usearch"}


@pytest.mark.parametrize(
    "end", ["upkeep.create_vector_file", "upkeep.VectorWriter.close", "storage.changes.Change.renumber"]
)
def test_a_killed_compaction_leaves_nothing_for_long(folder: Path, end: str) -> None:
    script = """
        import os, sys
        from unittest import mock
        from simcse_engine import Index
        from simcse_engine.index.limits import SearchLimits
        mock.patch(f"simcse_engine.index.{sys.argv[2]}", lambda *_, **__: os._exit(0)).start()
        Index(sys.argv[1], limits=SearchLimits(exact_rows=50)).compact()
        raise AssertionError("it went on")
    """
    before = {path.name for path in folder.iterdir()}
    assert run_script(script, folder, end) == ""
    Index.open(folder, read_only=False).close()
    assert {path.name for path in folder.iterdir()} == before
    with Index(folder, limits=SMALL) as index:
        index.compact()
        assert len(index.search(unit_vectors(ROWS), k=1, threshold=0.999)) == ROWS


def test_a_compaction_that_fails_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    def fails(index: Index) -> None:
        with pytest.raises(DiskFullError):
            index.compact()
        left = {path.name.partition("-")[0] for path in folder.iterdir()}
        assert left <= {"graph", "index.db", "lock", "vectors"}
        assert [path.name for path in folder.glob("vectors-*")] == ["vectors-1.f32"]

    with Index(folder, limits=SMALL) as index:
        index.remove([1])
        # In the midst of the copy, and after it.
        with monkeypatch.context() as patch:
            patch.setattr("simcse_engine.index.storage.vectors.os.pwrite", full)
            fails(index)
        writer = index._store._writer
        assert writer is not None
        writer.execute(f"PRAGMA max_page_count = {writer.execute('PRAGMA page_count').fetchone()[0]}")
        fails(index)
        writer.execute("PRAGMA max_page_count = 1000000")
        index.compact()
        assert len(index) == ROWS - 1
        assert [path.name for path in folder.glob("vectors-*")] == ["vectors-2.f32"]
