"""An encoder that could not be opened leaves nothing: no thread here, and nothing that a forked child may destroy."""

import dataclasses
import os
from pathlib import Path

import pytest

from simcse_engine import Manifest
from simcse_engine.artifact.manifest import WEIGHTS
from support.child import run_script

pytestmark = pytest.mark.skipif(
    not (hasattr(os, "fork") and Path("/proc/self/task").is_dir()), reason="forks, and counts threads in /proc"
)

START = """
    import gc, os, signal, sys, time, warnings
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    from simcse_engine import Encoder, Index, SimCSE
    from simcse_engine.errors import IntegrityError
    good, bad = sys.argv[1:3]

    def threads():
        return len(os.listdir("/proc/self/task"))

    def check_no_more_threads_than(count):
        # A thread that Python has joined is in the system's list for a moment longer.
        for _ in range(500):
            if threads() <= count:
                return
            time.sleep(0.01)
        raise AssertionError(f"{threads()} threads, not {count}")

    def check_fork(errors=()):
        pid = os.fork()
        if pid == 0:
            errors and errors.clear()
            gc.collect()
            sys.exit(7)
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 7

    Encoder(good, threads=3).close()
    gc.collect()
    before = threads()
"""


@pytest.fixture
def altered(artifact_copy: Path) -> Path:
    """An artifact whose weights differ by a bit from what the manifest says."""
    content = bytearray((artifact_copy / WEIGHTS).read_bytes())
    content[1000] ^= 1
    (artifact_copy / WEIGHTS).write_bytes(content)
    return artifact_copy


@pytest.fixture
def of_another_dimension(artifact_copy: Path) -> Path:
    """An artifact whose manifest states another dimension than the graph's, which the warm-up finds."""
    dataclasses.replace(Manifest.read(artifact_copy), dimension=33).write(artifact_copy)
    return artifact_copy


OPENINGS = """
    from simcse_engine.measure.bench import BenchOptions, bench

    def add(folder=sys.argv[3]):
        with Index.create(folder, good) as index:
            index._binding._artifact = bad
            index.add(["a man"])

    openings = [lambda: Encoder(bad, threads=3), lambda: SimCSE(bad), add, lambda: bench(bad, BenchOptions(threads=3))]
    kept = []
    for opening in openings:
        try:
            opening()
            raise SystemExit("it opened")
        except IntegrityError as error:
            kept.append(error)
        check_no_more_threads_than(before)
        check_fork()
    check_fork(kept)
"""


def test_altered_weights(artifact: Path, altered: Path, tmp_path: Path) -> None:
    assert run_script(START + OPENINGS, artifact, altered, tmp_path / "index") == ""


def test_failed_warm_up(artifact: Path, of_another_dimension: Path, tmp_path: Path) -> None:
    assert run_script(START + OPENINGS, artifact, of_another_dimension, tmp_path / "index") == ""


def test_what_a_caller_handles_keeps_its_frames(artifact: Path, altered: Path) -> None:
    script = """
    def fail():
        local = 7
        raise ValueError

    try:
        fail()
    except ValueError as error:
        try:
            Encoder(bad)
        except IntegrityError:
            pass
        assert error.__traceback__.tb_next.tb_frame.f_locals == {"local": 7}
    """
    assert run_script(START + script, artifact, altered) == ""


def test_interrupted_at_any_point(artifact: Path) -> None:
    script = """
    sys.unraisablehook = lambda unraisable: None  # an interrupt that meets a destructor goes no further

    def open_until(call):
        calls = 0

        def interrupt(frame, event, argument):
            nonlocal calls
            if frame.f_code.co_name == "pop_all" and frame.f_back.f_code.co_qualname == "Encoder.__init__":
                sys.setprofile(None)  # from here on it is open
                return
            calls += event == "call"
            if event == "call" and calls == call:
                signal.raise_signal(signal.SIGINT)

        try:
            sys.setprofile(interrupt)
            encoder = Encoder(good, threads=3)
            sys.setprofile(None)
            encoder.close()
        finally:
            sys.setprofile(None)
        return calls

    calls = open_until(None)
    kept = []
    # The session is made before the last tenth of all calls, which runs through it.
    for call in [*range(calls * 9 // 10, calls, 2), *range(1, calls, calls // 20)]:
        try:
            open_until(call)
        except KeyboardInterrupt as error:
            kept.append(error)
        except RuntimeError:
            pass  # an interrupt amid a lock of the standard library
        check_no_more_threads_than(before)
    assert len(kept) > 30
    check_fork(kept)
    """
    assert run_script(START + script, artifact, artifact) == ""


def test_runner_of_a_benchmark(artifact: Path) -> None:
    script = """
    from simcse_engine.measure import bench

    take_turns = bench._take_turns

    def forking(works, seconds):
        rounds = take_turns(works, seconds)
        pid = os.fork()
        if pid == 0:
            sys.exit(7)  # through all frames, which close what they opened
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 7
        return rounds

    bench._take_turns = forking
    bench.bench(good, bench.BenchOptions(threads=2, seconds=0.05))
    """
    assert run_script(START + script, artifact, artifact) == ""
