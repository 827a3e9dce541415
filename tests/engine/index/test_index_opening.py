"""How an index is made, opened and closed, and who else has it open."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from simcse_engine import Encoder, Index
from simcse_engine.errors import (
    ClosedError,
    IndexLockedError,
    IndexNotFoundError,
    InputTypeError,
    InputValueError,
    OutputError,
    SearchIndexError,
)
from simcse_engine.machine.kernels import VARIABLE
from support.indexes import DIMENSION, SMALL, filled, unit_vectors

TEXTS = ["a man plays a guitar", "the cat is on the mat", "a woman runs", "music"]


@pytest.fixture
def index(tmp_path: Path, artifact: Path) -> Iterator[Index]:
    Index.create(tmp_path / "index", artifact).close()
    with Index(tmp_path / "index", limits=SMALL) as opened:
        yield opened


def test_create_refuses_what_is_there(tmp_path: Path, artifact: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    (tmp_path / "file").touch()
    for name in ("full", "file"):
        with pytest.raises(OutputError):
            Index.create(tmp_path / name, artifact)
    with pytest.raises(InputValueError, match="choose 'i8', 'f32', 'f16'"):
        Index.create(tmp_path / "new", artifact, dtype="float16")
    with pytest.raises(InputTypeError):
        Index.create(5, artifact)  # type: ignore[arg-type]
    assert not (tmp_path / "new").exists()
    (tmp_path / "empty").mkdir()
    Index.create(str(tmp_path / "empty"), str(artifact)).close()


def test_open_refuses_what_is_not_there(tmp_path: Path, artifact: Path) -> None:
    with pytest.raises(IndexNotFoundError, match=r"does not exist; Index\.create"):
        Index.open(tmp_path / "none")
    with pytest.raises(IndexNotFoundError, match="no index"):
        Index.open(artifact)
    with pytest.raises(IndexNotFoundError, match="is a file"):
        Index.open(artifact / "manifest.json")


def test_no_path() -> None:
    with pytest.raises(InputValueError, match="is no path"):
        Index.open("a\0b")


def test_kernels_that_are_not_there_are_told_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, artifact: Path
) -> None:
    filled(tmp_path / "index", artifact, 120, dtype="i8")
    with monkeypatch.context() as patch:
        patch.setenv(VARIABLE, "sse2")
        with (
            pytest.raises(InputValueError, match="SIMCSE_KERNELS=sse2: there are no such kernels"),
            Index(tmp_path / "index", limits=SMALL) as index,
        ):
            index.add_vectors(unit_vectors(30, 1), ["more"] * 30)
    with Index(tmp_path / "index", limits=SMALL) as index:
        assert len(index) == 120


def test_it_is_there_when_opened_again(index: Index) -> None:
    index.add(TEXTS)
    before = index.search(["a cat"])
    index.close()
    for read_only in (True, False):
        with Index.open(index.folder, read_only=read_only) as again:
            assert len(again) == 4
            assert again.search(["a cat"]) == before
    assert index.folder.is_dir()


def test_one_writer_many_readers(index: Index) -> None:
    index.add(TEXTS)
    with pytest.raises(IndexLockedError, match="open for writing since"):
        Index.open(index.folder, read_only=False)
    with Index.open(index.folder, read_only=True) as one, Index.open(index.folder, read_only=True) as two:
        index.add(["later"], keys=[50])
        for reader in (one, two):
            assert reader.search(["later"], k=1)[0][0].key == 50
            for write in (
                lambda r=reader: r.add(["x"]),
                lambda r=reader: r.remove([1]),
                reader.compact,
                reader.checkpoint,
            ):
                with pytest.raises(SearchIndexError, match="read_only=True"):
                    write()
    index.close()
    Index.open(index.folder).close()


@pytest.mark.parametrize("used", [True, False])
def test_closed(index: Index, used: bool) -> None:
    if used:
        index.add(TEXTS)
    index.close()
    index.close()
    for use in (
        lambda: index.add(["x"]),
        lambda: index.search(["x"]),
        lambda: index.get([1]),
        index.compact,
        lambda: len(index),
    ):
        with pytest.raises(ClosedError, match="this index is closed"):
            use()


def test_an_encoder_of_the_caller_s_stays_open(tmp_path: Path, artifact: Path) -> None:
    with Encoder(artifact) as encoder:
        with Index.create(tmp_path / "index", encoder) as index:
            index.add(TEXTS)
        assert encoder.encode(["a"]).shape == (1, DIMENSION)
        with Index.open(tmp_path / "index", artifact=encoder) as index:
            assert index.search(TEXTS[:1], k=1)[0][0].score == 1.0
        assert encoder.encode(["a"]).shape == (1, DIMENSION)


def test_an_encoder_that_cuts_elsewhere_makes_no_index(tmp_path: Path, artifact: Path) -> None:
    with Encoder(artifact, max_tokens=16) as encoder, pytest.raises(InputValueError, match="cuts at 16 tokens"):
        Index.create(tmp_path / "index", encoder)
    assert not (tmp_path / "index").exists()


def test_threads(tmp_path: Path, artifact: Path) -> None:
    filled(tmp_path / "index", artifact, 100)
    vectors = unit_vectors(200, 7)
    errors: list[BaseException] = []
    with Index(tmp_path / "index", limits=SMALL) as index:
        done = threading.Event()

        def write(part: int) -> None:
            try:
                for i in range(part, 200, 2):
                    index.add_vectors(vectors[[i]], [f"new {i}"], keys=[1000 + i])
                    assert index.search(vectors[[i]], k=1)[0][0].key == 1000 + i
                    if i % 50 == part:
                        index.remove([1000 + i])
            except BaseException as error:
                errors.append(error)

        def read() -> None:
            try:
                while not done.is_set():
                    for hits in index.search(vectors[:20], k=3, where={"n": {"$gte": 50}}):
                        assert all(hit.metadata["n"] >= 50 for hit in hits)  # type: ignore[index]
                    assert len(index.search(vectors[:3])) == 3
            except BaseException as error:
                errors.append(error)

        writers = [threading.Thread(target=write, args=(part,)) for part in (0, 1)]
        readers = [threading.Thread(target=read) for _ in range(2)]
        for thread in [*writers, *readers]:
            thread.start()
        for thread in writers:
            thread.join()
        index.compact()
        done.set()
        for thread in readers:
            thread.join()
        assert not errors
        assert len(index) == 100 + 200 - 8


def test_full_disk(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    index.add(TEXTS)
    with monkeypatch.context() as patch:

        def full(*_: object) -> int:
            raise OSError(28, "No space left on device")

        patch.setattr("simcse_engine.index.storage.vectors.os.pwrite", full)
        with pytest.raises(OutputError, match="disk is full"):
            index.add(["more"])
    writer = index._store._writer
    assert writer is not None
    pages = writer.execute("PRAGMA page_count").fetchone()[0]
    writer.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(OutputError, match="disk is full"):
        index.add(["x" * 20] * 5, metadata=[{"long": "y" * 5000}] * 5)
    writer.execute("PRAGMA max_page_count = 1000000")
    assert len(index) == 4
    index.add(["more"])
    assert index.search(["more"], k=1)[0][0][:2] == (4, 1.0)


def test_another_program_holds_the_database(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simcse_engine.index.storage.connections.BUSY_SECONDS", 0.05)
    other = sqlite3.connect(index.folder / "index.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(IndexLockedError, match="another program"):
        index.add(TEXTS)
    other.execute("ROLLBACK")
    other.close()
    index.add(TEXTS)


def test_info(tmp_path: Path, artifact: Path) -> None:
    filled(tmp_path / "index", artifact, 100, dtype="i8")
    with Index.open(tmp_path / "index", read_only=True) as index:
        info = index.info()
        assert (info.entries, info.dead, info.in_graph, info.about.dtype) == (100, 0, 100, "i8")
        assert info.size_bytes == sum(path.stat().st_size for path in index.folder.iterdir())
        assert info.about.artifact == str(artifact)
        assert repr(index) == f"<Index {str(index.folder)!r}: dimension 32, i8, artifact {str(artifact)!r}>"
