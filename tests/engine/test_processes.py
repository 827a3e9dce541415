"""Encoders in the life of a process: import, idleness, fork, spawn, pickling, exit."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from simcse_engine import Encoder
from simcse_engine.errors import ArtifactNotFoundError
from support.child import run_script

TEXTS = [" ".join(["the", "man", "plays", "guitar"][(i * j + i // 60) % 4] for j in range(i % 30)) for i in range(300)]

pytestmark = pytest.mark.usefixtures("with_and_without")

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
needs_proc = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted in /proc")

# What the scripts begin with: an encoder of argv[1] that has run in both ways, jointly and on the workers.
PARENT = f"""
    import gc, multiprocessing, os, sys, threading, warnings
    # Python 3.12 and later; that it goes well here is what is tested.
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    import numpy as np
    from simcse_engine import Encoder
    TEXTS = {TEXTS!r}
    encoder = Encoder(sys.argv[1], threads=2)
    few, many = encoder.encode(TEXTS[:5]), encoder.encode(TEXTS)
    assert len(encoder._runner.replicas[0]._sessions) == 2 and encoder._runner._workers

    def check(encoder=encoder):
        # Both ways again, twice, and as a stream.
        for _ in range(2):
            assert np.abs(encoder.encode(TEXTS[:5]) - few).max() <= 1e-6
            assert np.abs(encoder.encode(TEXTS) - many).max() <= 1e-6
        assert np.abs(np.concatenate(list(encoder.stream(TEXTS))) - many).max() <= 1e-6

    def wait(pid):
        _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status)
"""


def run_after(script: str, artifact: Path, **environment: str) -> str:
    return run_script(PARENT + script, artifact, seconds=60, **environment)


@needs_fork
@pytest.mark.parametrize(
    "child",
    [
        "check()",
        "pass",
        "encoder.encode(['a man'])",
        "encoder.close()",
        "check(); encoder.close()",
        "del encoder, check; gc.collect()",
        "check(); check(Encoder(sys.argv[1], threads=2))",
    ],
)
def test_fork(artifact: Path, child: str) -> None:
    script = f"""
    pid = os.fork()
    if pid == 0:
        {child}
        sys.exit(7)  # the interpreter's whole ending, destructors too
    assert wait(pid) == 7
    check()
    """
    assert run_after(script, artifact) == ""


@needs_fork
@pytest.mark.parametrize(("aim", "sessions"), [("latency", [2]), ("throughput", [1])])
def test_fork_keeps_what_is_optimized_for(artifact: Path, aim: str, sessions: list[int]) -> None:
    script = f"""
    other = Encoder(sys.argv[1], threads=2, optimize_for="{aim}")
    check(other)
    pid = os.fork()
    if pid == 0:
        check(other)
        sys.exit(7 if list(other._runner.replicas[0]._sessions) == {sessions} else 8)
    assert wait(pid) == 7
    check(other)
    """
    assert run_after(script, artifact) == ""


@needs_fork
def test_fork_of_a_fork(artifact: Path) -> None:
    script = """
    pid = os.fork()
    if pid == 0:
        check()
        pid = os.fork()
        if pid == 0:
            check()
            sys.exit(5)
        sys.exit(wait(pid) + 1)
    assert wait(pid) == 6
    """
    run_after(script, artifact)


@needs_fork
def test_fork_while_other_threads_encode(artifact: Path) -> None:
    script = """
    stop = threading.Event()

    def work():
        while not stop.is_set():
            encoder.encode(TEXTS)
            encoder.encode(TEXTS[:2])

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        pid = os.fork()
        if pid == 0:
            check()
            sys.exit(7)
        assert wait(pid) == 7
    stop.set()
    for thread in threads:
        thread.join()
    """
    run_after(script, artifact)


@needs_fork
def test_fork_amid_a_stream(artifact: Path) -> None:
    script = """
    from simcse_engine.errors import ClosedError
    from simcse_engine.schedule import Limits
    encoder._runner.limits = Limits(window_texts=40)
    stream = encoder.stream(TEXTS)
    parts = [next(stream)]
    pid = os.fork()
    if pid == 0:
        check()
        try:
            next(stream)  # its workers are in the parent
        except ClosedError:
            check()
            sys.exit(7)
    assert wait(pid) == 7
    assert np.abs(np.concatenate([*parts, *stream]) - many).max() <= 1e-6
    """
    run_after(script, artifact)


@needs_fork
def test_fork_of_a_closed_encoder(artifact: Path) -> None:
    script = """
    from simcse_engine.errors import ClosedError
    encoder.close()
    pid = os.fork()
    if pid == 0:
        try:
            encoder.encode(["a man"])
        except ClosedError:
            sys.exit(7)
    assert wait(pid) == 7
    """
    run_after(script, artifact)


@needs_fork
@pytest.mark.parametrize("parallelism", ["true", "false"])
def test_multiprocessing_fork(artifact: Path, parallelism: str) -> None:
    script = """
    def part(start):
        return encoder.encode(TEXTS[start : start + 100])

    with multiprocessing.get_context("fork").Pool(2) as pool:
        parts = pool.map(part, [0, 100, 200])
        pool.close()
        pool.join()
    assert np.abs(np.concatenate(parts) - many).max() <= 1e-6
    """
    assert run_after(script, artifact, TOKENIZERS_PARALLELISM=parallelism) == ""


def test_spawn_with_a_pickled_encoder(artifact: Path, tmp_path: Path) -> None:
    # A spawned child imports the parent's main module anew, so that must be a file.
    (tmp_path / "job.py").write_text(
        "import multiprocessing, sys\n"
        "from simcse_engine import Encoder\n"
        "def part(encoder, texts):\n"
        "    return encoder.encode(texts), encoder.max_tokens\n"
        "def run(artifact, texts):\n"
        "    encoder = Encoder(artifact, max_tokens=7, truncate='silent')\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        vectors, max_tokens = pool.apply(part, (encoder, texts))\n"
        "    assert max_tokens == 7\n"
        "    assert abs(vectors - encoder.encode(texts)).max() <= 1e-6\n"
    )
    script = f"""
    import sys
    sys.path.insert(0, sys.argv[2])
    import job
    if __name__ == "__main__":
        job.run(sys.argv[1], {TEXTS[:40]!r})
    """
    run_script(script, artifact, tmp_path)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(artifact: Path, protocol: int) -> None:
    with Encoder(artifact, threads=1, max_tokens=6, truncate="silent", optimize_for="latency") as encoder:
        encoder.encode(TEXTS)
        with pickle.loads(pickle.dumps(encoder, protocol)) as other:
            assert repr(other) == repr(encoder)
            assert (other._model._threads, other._truncate, other._model._optimize_for) == (1, "silent", "latency")
            np.testing.assert_allclose(other.encode(TEXTS), encoder.encode(TEXTS), rtol=0, atol=1e-6)


def test_pickle_carries_the_path_alone(artifact: Path, artifact_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(artifact_copy.parent)
    with Encoder(artifact_copy.name) as encoder:
        pickled = pickle.dumps(encoder)
    assert len(pickled) < 1000
    # A relative path means the same in another working folder.
    monkeypatch.chdir(artifact)
    with pickle.loads(pickled) as other:
        assert other.encode(["a man"]).shape == (1, 32)
    artifact_copy.rename(artifact_copy.with_name("moved"))
    with pytest.raises(ArtifactNotFoundError, match="copy: does not exist"):
        pickle.loads(pickled)


def test_pickle_leaves_the_threads_to_whoever_opens_it(artifact: Path) -> None:
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("affinity cannot be set here")
    script = """
        import os, pickle, sys
        from simcse_engine import Encoder
        pickled = pickle.dumps(Encoder(sys.argv[1]))
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        assert pickle.loads(pickled)._model._threads == 1
    """
    run_script(script, artifact)


@needs_proc
def test_import_does_nothing() -> None:
    script = """
        import os, sys, warnings, logging
        import numpy  # starts its own
        before = len(os.listdir("/proc/self/task")), dict(os.environ), warnings.filters[:], logging.root.handlers[:]
        events = []
        sys.addaudithook(lambda event, arguments: events.append((event, str(arguments))))
        import simcse_engine
        names = [name for name, _ in events]
        assert not [e for e in events if e[0].split(".")[0] in ("socket", "subprocess", "urllib", "http")], events
        assert not [e for e in events if e[0] == "open" and "'w" in e[1] and ".pyc" not in e[1]], events
        after = len(os.listdir("/proc/self/task")), dict(os.environ), warnings.filters[:], logging.root.handlers[:]
        assert after == before, (before, after)
        heavy = {"onnxruntime", "torch", "transformers", "huggingface_hub", "tqdm", "onnx", "optimum", "pyarrow"}
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
    """
    run_script(script)


@needs_proc
def test_one_thread_means_none_beside_the_caller_s(artifact: Path) -> None:
    script = """
        import os, sys, time
        import numpy

        def threads():
            return len(os.listdir("/proc/self/task"))

        def come_to(count):
            # A thread that Python has joined is in the system's list for a moment longer.
            for _ in range(500):
                if threads() == count:
                    return
                time.sleep(0.01)
            raise AssertionError(f"{threads()} threads, not {count}")

        before = threads()
        from simcse_engine import Encoder
        encoder = Encoder(sys.argv[1], threads=1)
        encoder.encode(["a man"])
        # The runtime's telemetry, were it on, would have one too. What hashed the weights has ended.
        come_to(before)
        encoder.encode([f"a man plays the guitar {i}" for i in range(500)])
        come_to(before + 1)
        encoder.close()
        come_to(before)
    """
    run_script(script, artifact)


def test_no_network_and_only_what_is_needed(artifact: Path) -> None:
    script = """
        import sys
        events = []
        sys.addaudithook(lambda event, arguments: events.append(event))
        from simcse_engine import Encoder
        Encoder(sys.argv[1]).encode([f"a man plays the guitar {i}" for i in range(500)])
        assert not [e for e in events if e.startswith(("socket.", "urllib.", "http.", "subprocess."))], set(events)
        heavy = {"torch", "transformers", "huggingface_hub", "tqdm", "onnx", "optimum", "pyarrow", "requests", "httpx"}
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
    """
    run_script(script, artifact)


def test_the_runtime_s_telemetry_is_off(artifact: Path) -> None:
    script = """
        import os, sys
        from simcse_engine import Encoder
        Encoder(sys.argv[1])
        print(os.environ["ORT_DISABLE_TELEMETRY"])
    """
    assert run_script(script, artifact) == "1\n"
    assert run_script(script, artifact, ORT_DISABLE_TELEMETRY="0") == "0\n"


def test_idle_threads_do_not_spin(artifact: Path) -> None:
    script = """
        import json, sys, time
        from simcse_engine import Encoder
        encoder = Encoder(sys.argv[1], threads=2)
        encoder.encode([f"a man plays the guitar {i}" for i in range(2000)])
        encoder.encode(["a man"])
        begun = time.process_time()
        time.sleep(1.5)
        print(json.dumps(time.process_time() - begun))
    """
    # One thread that spins would use all of the 1.5 seconds.
    assert json.loads(run_script(script, artifact)) < 0.3


def test_exit_without_closing(artifact: Path) -> None:
    # In the midst of a stream, with work on the workers.
    script = """
    from simcse_engine.errors import ClosedError
    from simcse_engine.schedule import Limits
    encoder._runner.limits = Limits(window_texts=40)
    stream = encoder.stream(TEXTS * 10)
    next(stream)
    """
    assert run_after(script, artifact) == ""
