"""An index is only read until its first change: then it takes the lock, and goes on from what others have written."""

import os
import threading
from pathlib import Path

import pytest

from simcse_engine import Index
from simcse_engine.errors import ClosedError, IndexDamagedError, IndexLockedError
from support.child import run_script
from support.indexes import ROWS, SMALL, names, unit_vectors


def facts_of(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


@pytest.mark.parametrize("read_only", [None, True])
def test_reading_changes_nothing(folder: Path, read_only: bool | None) -> None:
    (folder / "graph-1-00000000.usearch").write_bytes(b"left behind")
    before = facts_of(folder)
    with Index(folder, limits=SMALL, read_only=read_only) as index:
        assert index.read_only is bool(read_only)
        assert len(index.search(unit_vectors(3), exact=False)) == 3
        assert index.get([1])[0] is not None
        assert (len(index), index.info().entries) == (ROWS, ROWS)
        # The lock is free meanwhile.
        Index.open(folder, read_only=False).close()
    del before["graph-1-00000000.usearch"]
    assert {name: content for name, (content, _) in facts_of(folder).items()} == {
        name: content for name, (content, _) in before.items()
    }


def test_reading_leaves_every_file_alone(folder: Path) -> None:
    before = facts_of(folder)
    with Index(folder, limits=SMALL) as index:
        index.search(unit_vectors(3), exact=False)
    assert facts_of(folder) == before


def test_the_lock_is_taken_at_once_or_with_the_first_change(folder: Path) -> None:
    with Index(folder, limits=SMALL) as index:
        with Index.open(folder, read_only=False):
            with pytest.raises(IndexLockedError):
                Index.open(folder, read_only=False)
            for change in (lambda: index.remove([1]), lambda: index.add(["a"]), index.compact, index.checkpoint):
                with pytest.raises(IndexLockedError):
                    change()
            assert len(index.search(unit_vectors(3))) == 3
        assert index.remove([1]) == 1
        with pytest.raises(IndexLockedError):
            Index.open(folder, read_only=False)
    Index.open(folder, read_only=False).close()


@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize("searched", [False, True])
def test_changes_go_on_from_what_others_wrote(folder: Path, searched: bool, compact: bool) -> None:
    vectors = unit_vectors(300, 5)
    with Index(folder, limits=SMALL) as index:
        if searched:
            # Its graph is open, and is deleted by the other writer.
            index.search(vectors[:3], exact=False)
        with Index(folder, limits=SMALL) as other:
            other.add_vectors(vectors[:200], names(200, 1000))
            other.remove([0, 1])
            other.checkpoint()
            if compact:
                other.compact()
        assert index.add_vectors(vectors[200:], names(100, 2000)) == list(range(ROWS + 200, ROWS + 300))
        assert len(index) == ROWS + 298
        found = index.search(vectors, k=1, exact=False)
        assert [hits[0].key for hits in found] == list(range(ROWS, ROWS + 300))
        index.checkpoint()
        assert index.info().in_graph == ROWS + 300 - 2 * compact
    with Index.open(folder) as index:
        assert index.search(vectors, k=1, exact=False) == found


def test_threads_begin_to_write_at_once(folder: Path) -> None:
    vectors = unit_vectors(8, 9)
    start = threading.Barrier(8)
    errors: list[BaseException] = []
    with Index(folder, limits=SMALL) as index:

        def write(i: int) -> None:
            try:
                start.wait()
                index.add_vectors(vectors[[i]], [f"new {i}"], keys=[1000 + i])
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=write, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors
        assert [hits[0].key for hits in index.search(vectors, k=1)] == list(range(1000, 1008))


def test_a_change_that_cannot_begin_holds_no_lock(folder: Path) -> None:
    with Index(folder, limits=SMALL) as index:
        moved = (folder / "vectors-1.f32").rename(folder / "away")
        index._views._last = None
        for _ in range(2):
            with pytest.raises(IndexDamagedError, match="missing"):
                index.remove([1])
        moved.rename(folder / "vectors-1.f32")
        with Index.open(folder, read_only=False):
            pass
        assert index.remove([1]) == 1


def test_closed_before_anything_is_written(folder: Path) -> None:
    index = Index(folder, limits=SMALL)
    index.close()
    index.close()
    with pytest.raises(ClosedError):
        index.remove([1])


@pytest.mark.parametrize("interrupted", [False, True])
def test_closing_lets_other_threads_finish_what_they_write(folder: Path, interrupted: bool) -> None:
    """What they have begun is committed under the lock, and what comes later is refused."""
    script = """
        import sys, threading
        import numpy as np
        from simcse_engine import Index
        from simcse_engine.errors import ClosedError
        from simcse_engine.index.limits import SearchLimits
        limits = SearchLimits(exact_rows=50, extend_rows=20, window_texts=16)
        vectors = np.random.default_rng(0).standard_normal((8, 32))
        count = 120
        for _ in range(15):
            index = Index(sys.argv[1], limits=limits)
            added, refused, begun = [], [], threading.Semaphore(0)

            def write(index=index, added=added, refused=refused, begun=begun):
                try:
                    while True:
                        added.extend(index.add_vectors(vectors, ["x"] * 8))
                        begun.release()
                except Exception as error:
                    refused.append(type(error))

            threads = [threading.Thread(target=write) for _ in range(3)]
            for thread in threads:
                thread.start()
            for _ in range(4):
                begun.acquire()
            index.__exit__(KeyboardInterrupt if sys.argv[2] == "True" else None, None, None)
            # Nobody writes any more.
            with Index(sys.argv[1], limits=limits, read_only=False) as next_one:
                entries = len(next_one)
                for thread in threads:
                    thread.join()
                assert refused == [ClosedError] * 3, refused
                count += len(added)
                assert len(next_one) == entries == count, (len(next_one), entries, count)
    """
    assert run_script(script, folder, interrupted) == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_writes_what_its_parent_does_not(folder: Path) -> None:
    script = """
        import os, sys, warnings
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        import numpy as np
        from simcse_engine import Index
        from simcse_engine.errors import IndexLockedError
        vectors = np.random.default_rng(0).standard_normal((10, 32))
        index = Index.open(sys.argv[1])
        index.search(vectors)
        told, tell = os.pipe()
        ended, end = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(end)
            index.add_vectors(vectors, [str(i) for i in range(10)])
            os.write(tell, b"x")
            os.read(ended, 1)
            index.close()
            os._exit(7)
        os.read(told, 1)
        assert len(index) == 130
        try:
            index.remove([1])
        except IndexLockedError as error:
            assert f"process {pid} on" in str(error)
        else:
            raise AssertionError("two writers")
        os.close(end)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        assert index.remove([1]) == 1
        assert len(index) == 129
        index.close()
    """
    assert run_script(script, folder) == ""
