"""An index in several processes: killed writers, readers beside them, forks, what is imported."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from benchmarks.search import kills

from simcse_engine import Index
from support.child import run_script
from support.indexes import SMALL, names, unit_vectors
from support.users import let_others_in

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


@pytest.mark.parametrize("keys", ["str", "uuid"])
def test_nothing_under_other_keys_is_lost_to_kill(tmp_path: Path, artifact: Path, keys: str) -> None:
    Index.create(tmp_path / "index", artifact, keys=keys).close()
    tally = kills.kill_often(tmp_path / "index", 3)
    assert tally.kills == 3
    assert tally.acknowledged["add"] > 3


def test_nothing_acknowledged_is_lost_to_kill(tmp_path: Path, artifact: Path) -> None:
    """What the script does a thousand times, and more beside it."""
    folder = tmp_path / "index"
    Index.create(folder, artifact).close()
    tally = kills.kill_often(folder, 12)
    assert tally.kills == sum(tally.interrupted.values()) == 12
    assert tally.acknowledged["add"] > 40
    with Index.open(folder, read_only=True) as index:
        before = index.get(range(kills.KEYS))
        assert len(index) > 0
    with Index(folder, limits=SMALL) as index:
        index.compact()
        assert index.get(range(kills.KEYS)) == before
    left = sorted(path.name.partition("-")[0] for path in folder.iterdir())
    assert set(left) <= {"graph", "index.db", "lock", "vectors"}
    # Where something is lost, it is noticed.
    expected = {entry.key: entry.text for entry in before if entry is not None}
    with pytest.raises(kills.LostError, match="under"):
        kills.check(folder, {**expected, min(expected): "another text"}, {})


def test_readers_beside_a_writer(tmp_path: Path, artifact: Path) -> None:
    """What was acknowledged before a search began is found by it, whatever the writer does meanwhile."""
    folder = tmp_path / "index"
    Index.create(folder, artifact).close()
    reader = """
        import sys
        import numpy as np
        from simcse_engine import Index
        from simcse_engine.index.limits import SearchLimits
        vectors = np.load(sys.argv[2])
        limits = SearchLimits(exact_rows=50, extend_rows=20, save_share=0.2)
        with Index(sys.argv[1], read_only=True, limits=limits) as index:
            print("ready", flush=True)
            for line in sys.stdin:
                count = int(line)
                some = np.random.default_rng(count).integers(0, count, 20)
                hits = index.search(vectors[some], k=1)
                assert [each[0].text for each in hits] == [f"text {i}" for i in some], (count, some, hits)
                assert index.search(vectors[[count - 1]], k=1, where={"n": count - 1})[0][0].key == count - 1
                assert len(index) >= count
                print("ok", flush=True)
    """
    vectors = unit_vectors(600)
    np.save(tmp_path / "vectors.npy", vectors)
    command = [sys.executable, "-c", textwrap.dedent(reader), str(folder), str(tmp_path / "vectors.npy")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    readers = [subprocess.Popen(command, **pipes) for _ in range(3)]  # type: ignore[call-overload]
    try:
        for process in readers:
            assert process.stdout.readline() == "ready\n"
        with Index(folder, limits=SMALL) as index:
            for begin in range(0, 600, 20):
                added = slice(begin, begin + 20)
                index.add_vectors(vectors[added], names(20, begin), metadata=[{"n": begin + i} for i in range(20)])
                for process in readers:
                    process.stdin.write(f"{begin + 20}\n")
                    process.stdin.flush()
                if begin % 100 == 0:
                    # Replaced by themselves, while the readers search.
                    index.add_vectors(vectors[:begin], names(begin), keys=range(begin), metadata=metadata_of(begin))
                    index.compact()
                for process in readers:
                    assert process.stdout.readline() == "ok\n"
    finally:
        for process in readers:
            process.communicate(timeout=60)
    assert [process.returncode for process in readers] == [0, 0, 0]


def metadata_of(count: int) -> list[dict[str, int]]:
    return [{"n": i} for i in range(count)]


@needs_fork
def test_fork(tmp_path: Path, artifact: Path) -> None:
    Index.create(tmp_path / "index", artifact).close()
    script = """
        import os, sys, warnings
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        import numpy as np
        from simcse_engine import Index
        from simcse_engine.errors import SearchIndexError
        from simcse_engine.index.limits import SearchLimits
        vectors = np.random.default_rng(0).standard_normal((200, 32))
        index = Index(sys.argv[1], limits=SearchLimits(exact_rows=50, extend_rows=20))
        index.add_vectors(vectors, [str(i) for i in range(200)])
        index.add(["a man"], keys=[500])
        hits = index.search(vectors, k=1)
        pid = os.fork()
        if pid == 0:
            assert index.search(vectors, k=1) == hits
            assert index.search(["a man"], k=1)[0][0].key == 500
            for write in (lambda: index.remove([1]), lambda: index.add(["b"]), index.compact):
                try:
                    write()
                except SearchIndexError as error:
                    assert "parent" in str(error)
                else:
                    raise AssertionError("written by a child")
            index.close()
            sys.exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        index.add_vectors(vectors[:5], list("abcde"))
        assert index.search(vectors[:1], k=1)[0][0].score == 1
        index.close()
        with Index.open(sys.argv[1]) as index:
            assert len(index) == 206
    """
    assert run_script(script, tmp_path / "index") == ""


@needs_fork
def test_a_child_writes_after_its_parent_has_closed(tmp_path: Path, artifact: Path) -> None:
    Index.create(tmp_path / "index", artifact).close()
    script = """
        import os, subprocess, sys, warnings
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        import numpy as np
        from simcse_engine import Index
        vectors = np.random.default_rng(0).standard_normal((200, 32))
        read = "import sys; from simcse_engine import Index; print(len(Index.open(sys.argv[1], read_only=True)))"
        def seen():
            return int(subprocess.check_output([sys.executable, "-c", read, sys.argv[1]]))
        index = Index.open(sys.argv[1])
        index.add_vectors(vectors[:100], [str(i) for i in range(100)])
        end, start = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.read(end, 1)
            with Index.open(sys.argv[1]) as own:
                own.add_vectors(vectors[100:150], [str(i) for i in range(50)])
                assert seen() == len(index) == 150
                own.add_vectors(vectors[150:], [str(i) for i in range(50)])
            os._exit(7)
        index.close()
        os.write(start, b"x")
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        assert seen() == 200
    """
    assert run_script(script, tmp_path / "index") == ""


@needs_fork
def test_a_fork_amid_a_search_refuses_in_the_child(tmp_path: Path, artifact: Path) -> None:
    Index.create(tmp_path / "index", artifact).close()
    script = """
        import os, sys, warnings
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        from simcse_engine import Index
        from simcse_engine.errors import SearchIndexError
        from simcse_engine.index.storage import store
        store._FORK_SECONDS = 0.1
        index = Index.open(sys.argv[1])
        index.add(["a man"])
        with index._store.reading():
            pid = os.fork()
        # In the child the connection of that block has been given back, and is not to be used either.
        if pid == 0:
            for use in (lambda: len(index), lambda: Index.open(sys.argv[1], read_only=True)):
                try:
                    use()
                except SearchIndexError as error:
                    assert "forked" in str(error)
                else:
                    os._exit(1)
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        assert len(index) == 1
        index.close()
    """
    assert run_script(script, tmp_path / "index") == ""


def test_what_is_imported(tmp_path: Path, artifact: Path) -> None:
    Index.create(tmp_path / "index", artifact).close()
    script = """
        import sys
        import simcse_engine
        assert not {"sqlite3", "usearch"} & set(sys.modules)
        with simcse_engine.Index.open(sys.argv[1]) as index:
            index.add(["a man", "a cat"])
            index.search(["a man"])
        heavy = {"usearch", "torch", "transformers", "huggingface_hub", "tqdm", "pyarrow"}
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
    """
    run_script(script, tmp_path / "index")


def test_a_folder_that_cannot_be_written(tmp_path: Path, artifact: Path) -> None:
    folder = tmp_path / "index"
    with Index.create(folder, artifact) as index:
        index.add(["a man", "a cat"])
    let_others_in(tmp_path)
    folder.chmod(0o555)
    script = """
        import os, sys
        import numpy as np
        from simcse_engine import Index
        from simcse_engine.errors import OutputError
        if os.geteuid() == 0:
            os.setuid(65534)
        with Index.open(sys.argv[1], read_only=True) as index:
            assert len(index) == 2
            assert index.get([1])[0].text == "a cat"
            assert len(index.search(np.ones((1, 32)), k=5)[0]) == 2
        with Index.open(sys.argv[1]) as index:
            assert len(index.search(np.ones((1, 32)), k=5)[0]) == 2
            for write in (lambda: index.remove([1]), lambda: Index.open(sys.argv[1], read_only=False)):
                try:
                    write()
                except OutputError as error:
                    assert "lock: cannot be written" in str(error)
                else:
                    raise AssertionError("written")
    """
    try:
        run_script(script, folder)
    finally:
        folder.chmod(0o755)
