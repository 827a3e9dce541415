"""An iteration that takes long, beside whatever else is done to its index."""

import contextlib
import gc
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from simcse_engine import Index
from simcse_engine.errors import ClosedError, IndexDamagedError, SearchIndexError
from simcse_engine.index import walk
from support.indexes import ROWS, SMALL, names, unit_vectors

VECTORS = unit_vectors(ROWS)
ALL = [*range(ROWS)]


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "_PAGE_ROWS", 10)


@pytest.fixture
def index(folder: Path) -> Iterator[Index]:
    with Index(folder, limits=SMALL) as opened:
        yield opened


def test_it_is_of_one_moment_whatever_is_written_meanwhile(index: Index) -> None:
    with Index(index.folder, limits=SMALL, read_only=True) as reader:
        walks = [iter(index), iter(reader), index.entries({"n": {"$gte": 0}}), reader.entries({"n": {"$gte": 0}})]
        found = [[next(walk)] for walk in walks]
        with_vectors = reader.entries(vectors=True)
        vectors = [next(with_vectors)[1]]
        index.add_vectors(VECTORS[:20], names(20, 500))
        index.remove([1, 50, 119])
        index.update([60, 70], [{"changed": True}, None])
        for entries, walk in zip(found, walks, strict=True):
            entries += [next(walk) for _ in range(30)]
        index.compact()
        index.remove(where={})
        index.compact()
        for entries, walk in zip(found, walks, strict=True):
            entries += walk
            assert [(entry.key, entry.metadata) for entry in entries] == [(key, {"n": key}) for key in ALL]
        vectors += [vector for _, vector in with_vectors]
        np.testing.assert_array_equal(vectors, VECTORS)
        assert list(reader) == list(index) == []


def test_the_loop_changes_its_index(index: Index) -> None:
    for entry in index:
        if entry.key % 2:
            index.remove([entry.key])
        else:
            index.update([entry.key], [{"seen": entry.key}])
    assert [entry.metadata for entry in index] == [{"seen": key} for key in ALL[::2]]


def test_it_begins_with_its_first_entry(index: Index) -> None:
    walk = index.entries()
    index.remove([0])
    assert next(walk).key == 1


def test_it_ends_with_its_index(index: Index) -> None:
    walk = iter(index)
    first = next(walk)
    index.close()
    with pytest.raises(ClosedError):
        list(walk)
    assert first.key == 0
    # SQLite removes its log where the last connection is closed.
    assert not (index.folder / "index.db-wal").exists()


@pytest.mark.parametrize("end", ["close", "drop", "exhaust"])
def test_its_end_lets_the_log_shrink(index: Index, end: str) -> None:
    log = index.folder / "index.db-wal"
    walk = iter(index)
    next(walk)
    index.add_vectors(VECTORS, names(ROWS, 500))
    index._store.settle()
    assert log.stat().st_size > 0
    if end == "close":
        walk.close()  # type: ignore[attr-defined]
    elif end == "exhaust":
        assert sum(1 for _ in walk) == ROWS - 1
    del walk
    gc.collect()
    index._store.settle()
    assert log.stat().st_size == 0


def in_child(call: Callable[[], bool]) -> bool:
    """Whether a call in a forked child is true."""
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            os._exit(0 if call() else 1)
        os._exit(2)
    return os.waitpid(pid, 0)[1] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork(index: Index) -> None:
    index.close()
    with Index(index.folder, limits=SMALL, read_only=True) as reader:
        walk = iter(reader)
        begun = [next(walk).key for _ in range(15)]
        assert in_child(lambda: begun + [entry.key for entry in walk] == ALL and len(list(reader)) == ROWS)
        # So does the parent's, and it is of the same moment although there are more entries now.
        with Index(index.folder, limits=SMALL) as writer:
            writer.add_vectors(VECTORS[:1], ["more"])
        assert begun + [entry.key for entry in walk] == ALL
        assert len(list(reader)) == ROWS + 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("compacted", [False, True])
def test_a_fork_before_a_removal_ends_it(index: Index, compacted: bool) -> None:
    walk = iter(index)
    next(walk)
    assert in_child(lambda: next(walk).key == 1)
    index.remove([110])
    if compacted:
        index.compact()
    with pytest.raises(SearchIndexError, match="begin it again"):
        list(walk)
    assert len(list(index)) == ROWS - 1


def test_where_nothing_can_be_written(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a read-only disk, where each page opens the database anew."""
    index.close()
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and real(path, mode))
    with Index(index.folder, limits=SMALL, read_only=True) as reader:
        assert [entry.key for entry in reader] == ALL


def test_threads_iterate_on_their_own(index: Index) -> None:
    found: list[list[int]] = []
    threads = [threading.Thread(target=lambda: found.append([entry.key for entry in index])) for _ in range(4)]
    for thread in threads:
        thread.start()
    index.add_vectors(VECTORS[:5], names(5, 500))
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(keys[:ROWS] == ALL for keys in found)


def test_entries_that_a_damaged_database_hides(index: Index) -> None:
    walk = iter(index)
    next(walk)
    walk.close()  # type: ignore[attr-defined]
    with index._store.writing() as change:
        change._connection.execute("DELETE FROM entries WHERE row = 30")
    with pytest.raises(IndexDamagedError, match="missing"):
        list(index)
