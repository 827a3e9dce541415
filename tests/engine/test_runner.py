"""The runner gives every sentence its own vector, whichever way its batch is run."""

import dataclasses
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from simcse_engine.artifact.manifest import Manifest
from simcse_engine.artifact.opening import open_artifact
from simcse_engine.errors import ClosedError, ProviderError
from simcse_engine.inputs import OptimizeFor
from simcse_engine.runner import Runner
from simcse_engine.schedule import Limits
from simcse_engine.session.cpu import CpuSession
from simcse_engine.session.kernels import kernels_for
from simcse_engine.session.session import Session
from support.ways import variants

SMALL = Limits(batch_tokens=40, full_batch_tokens=15, window_texts=16, window_chars=500)

SENTENCES = st.lists(st.lists(st.integers(5, 150), max_size=30).map(lambda ids: [2, *ids, 3]), max_size=60)


@pytest.fixture(scope="module", params=[1, 2, 3])
def runner(request: pytest.FixtureRequest, artifact: Path, with_and_without: str) -> Iterator[Runner]:  # noqa: ARG001
    kernels = kernels_for(artifact, "cpu")
    manifest = Manifest.read(artifact)
    made = Runner(artifact, manifest, devices=["cpu"], threads=request.param, limits=SMALL, kernels=kernels)
    yield made
    made.close()


def run(runner: Runner, ids: list[list[int]]) -> NDArray[np.float32]:
    out = np.full((len(ids), runner.joint().dimension), np.nan, np.float32)
    runner.submit(ids).write(out)
    return out


@given(ids=SENTENCES)
@settings(max_examples=50)
def test_a_sentence_alone_and_in_company(runner: Runner, ids: list[list[int]]) -> None:
    alone = [run(runner, [sentence])[0] for sentence in ids]
    np.testing.assert_allclose(run(runner, ids), np.reshape(alone, (len(ids), 32)), rtol=0, atol=1e-6)


@given(ids=SENTENCES)
@settings(max_examples=20)
def test_on_the_calling_thread(runner: Runner, ids: list[list[int]]) -> None:
    np.testing.assert_allclose(runner.run(ids), run(runner, ids), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("aim", "threads"), [("both", 3), ("throughput", 3), ("latency", 1)])
def test_threads_that_keep_the_cpu_busy(artifact: Path, aim: OptimizeFor, threads: int) -> None:
    made = Runner(artifact, Manifest.read(artifact), devices=["cpu"], threads=3, optimize_for=aim)
    assert made.side_by_side == threads
    made.close()
    with pytest.raises(ClosedError):
        made.run([[2, 3]])


def test_thread_counts_agree(artifact: Path) -> None:
    ids = [[2, *range(5, 5 + i % 28), 3] for i in range(200)]
    runners = [
        Runner(artifact, Manifest.read(artifact), devices=["cpu"], threads=n, limits=limits)
        for n in (1, 2, 5)
        for limits in (SMALL, None)
    ]
    vectors = [run(runner, ids) for runner in runners]
    for other in vectors[1:]:
        np.testing.assert_allclose(other, vectors[0], rtol=0, atol=1e-6)
    for runner in runners:
        runner.close()


def test_sentence_above_the_budget(runner: Runner) -> None:
    long, short = [2, *[7] * 48, 3], [2, 9, 3]
    assert len(long) > SMALL.batch_tokens
    vectors = run(runner, [short, long, short, long])
    np.testing.assert_allclose(vectors[::2], run(runner, [short, short]), rtol=0, atol=1e-6)
    np.testing.assert_allclose(vectors[1::2], run(runner, [long, long]), rtol=0, atol=1e-6)
    assert np.isfinite(vectors).all()


def test_no_sentences(runner: Runner) -> None:
    assert run(runner, []).shape == (0, 32)


def test_opens_only_what_is_needed(artifact: Path) -> None:
    runner = Runner(artifact, Manifest.read(artifact), devices=["cpu"], threads=2)
    before = threading.active_count()
    run(runner, [[2, 9, 3]])
    # A few sentences need neither workers nor a session for them.
    assert (list(runner.replicas[0]._sessions), threading.active_count()) == ([2], before)
    run(runner, [[2, 9, 3]] * 1000)
    assert runner.single() is not runner.joint()
    assert threading.active_count() > before
    runner.close()
    assert threading.active_count() == before


def test_one_thread_needs_one_session(artifact: Path) -> None:
    runner = Runner(artifact, Manifest.read(artifact), devices=["cpu"], threads=1)
    assert runner.single() is runner.joint()
    runner.close()


@pytest.fixture
def unmixed(artifact_copy: Path) -> Path:
    """An artifact whose manifest says that its runs take one length."""
    dataclasses.replace(open_artifact(artifact_copy), layout="even").write(artifact_copy)
    return artifact_copy


needs_kernels = pytest.mark.skipif(not variants(), reason="no kernels run here")


@needs_kernels
@pytest.mark.parametrize(("optimize_for", "ways"), [("both", [3, 1]), ("latency", [3]), ("throughput", [1])])
def test_kernels_share_one_session(unmixed: Path, optimize_for: OptimizeFor, ways: list[int]) -> None:
    kernels = kernels_for(unmixed, "cpu")
    options: dict[str, Any] = {"devices": ["cpu"], "threads": 3, "optimize_for": optimize_for}
    runner = Runner(unmixed, Manifest.read(unmixed), kernels=kernels, **options)
    few, many = of_lengths(5, 9, 4), of_lengths(*(3 + i % 7 for i in range(600)))
    run(runner, few)
    run(runner, many)
    assert list(runner.replicas[0]._sessions) == ways
    assert len({id(session._session) for session in runner.replicas[0]._sessions.values()}) == 1  # type: ignore[attr-defined]
    runner.close()
    with pytest.raises(ClosedError):
        runner.submit(few)


@needs_kernels
def test_kernels_mix_lengths_whatever_the_layout(unmixed: Path, runs: "Runs") -> None:
    kernels = kernels_for(unmixed, "cpu")
    runner = Runner(unmixed, Manifest.read(unmixed), devices=["cpu"], threads=2, kernels=kernels)
    run(runner, of_lengths(9, 5, 4))
    # At once, on all threads.
    assert [(on, by, lengths) for on, by, lengths in runs] == [
        (runner.joint(), threading.current_thread(), [9, 5, 4]),
    ]
    runs.clear()
    run(runner, of_lengths(*(3 + i % 7 for i in range(600))))
    assert {on for on, _, _ in runs} == {runner.single()}
    tokens = [sum(lengths) for _, _, lengths in runs]
    # As many for each of the two workers, of nearly one size.
    assert len(tokens) == 2
    assert max(tokens) - min(tokens) < 2 * 9
    assert any(len(set(lengths)) > 1 for _, _, lengths in runs)
    runner.close()


Runs = list[tuple[Session, threading.Thread, list[int]]]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    """The session, thread and lengths of every run."""
    seen: Runs = []
    run = CpuSession.run

    def watched(
        self: CpuSession, input_ids: NDArray[np.int64], lengths: NDArray[np.int64], skipped: int = 0
    ) -> NDArray[np.float32]:
        seen.append((self, threading.current_thread(), lengths.tolist()))
        return run(self, input_ids, lengths, skipped)

    monkeypatch.setattr(CpuSession, "run", watched)
    return seen


def of_lengths(*lengths: int) -> list[list[int]]:
    return [[2, *[9] * (length - 2), 3] for length in lengths]


@pytest.mark.parametrize("optimize_for", ["both", "latency", "throughput"])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("count", [7, 300])
def test_lengths_that_do_not_mix(
    artifact: Path, unmixed: Path, runs: Runs, optimize_for: OptimizeFor, threads: int, count: int
) -> None:
    ids = of_lengths(*(3 + i % 7 for i in range(count)))
    expected = Runner(artifact, Manifest.read(artifact), devices=["cpu"], threads=threads)
    runner = Runner(unmixed, Manifest.read(unmixed), devices=["cpu"], threads=threads, optimize_for=optimize_for)
    vectors = run(expected, ids)
    runs.clear()
    np.testing.assert_allclose(run(runner, ids), vectors, rtol=0, atol=1e-6)
    assert all(len(set(lengths)) == 1 for _, _, lengths in runs)
    assert sum(len(lengths) for _, _, lengths in runs) == count
    expected.close()
    runner.close()


def test_a_few_of_several_lengths_run_side_by_side(unmixed: Path, runs: Runs) -> None:
    runner = Runner(unmixed, Manifest.read(unmixed), devices=["cpu"], threads=2)
    run(runner, of_lengths(9, 9, 9))
    # Of one length: at once, on all threads.
    assert [(on, by) for on, by, _ in runs] == [(runner.joint(), threading.current_thread())]
    assert list(runner.replicas[0]._sessions) == [2]
    runs.clear()
    run(runner, of_lengths(5, 4, 5, 20, 4, 4, 5, 5))
    assert {on for on, _, _ in runs} == {runner.single()}
    assert threading.current_thread() not in [by for _, by, _ in runs]
    assert sorted(lengths for _, _, lengths in runs) == [[4, 4, 4], [5, 5, 5, 5], [20]]
    runner.close()


def test_a_few_of_several_lengths_begin_with_the_largest(unmixed: Path, runs: Runs) -> None:
    runner = Runner(unmixed, Manifest.read(unmixed), devices=["cpu"], threads=2)
    run(runner, of_lengths(9, 8))
    assert runner._workers is not None
    gate = threading.Event()
    # One worker is kept busy, so that the other takes all in turn.
    runner._workers.submit(gate.wait, 30)
    runs.clear()
    run(runner, of_lengths(5, 4, 5, 20, 4, 4, 5, 5, 5))
    gate.set()
    assert [lengths for _, _, lengths in runs] == [[5] * 5, [20], [4] * 3]
    runner.close()


def test_a_few_of_several_lengths_need_no_worker_on_one_thread(unmixed: Path, runs: Runs) -> None:
    for threads, optimize_for in ((1, "both"), (2, "latency")):
        runner = Runner(unmixed, Manifest.read(unmixed), devices=["cpu"], threads=threads, optimize_for=optimize_for)  # type: ignore[arg-type]
        run(runner, of_lengths(5, 4, 20))
        assert {by for _, by, _ in runs} == {threading.current_thread()}
        assert runner._workers is None
        runner.close()


@pytest.mark.parametrize(("optimize_for", "opened"), [("both", [3, 1]), ("latency", [3]), ("throughput", [1])])
def test_sessions_by_what_is_optimized_for(artifact: Path, optimize_for: OptimizeFor, opened: list[int]) -> None:
    runner = Runner(
        artifact, Manifest.read(artifact), devices=["cpu"], threads=3, optimize_for=optimize_for, limits=SMALL
    )
    few, many = [[2, 9, 3]], [[2, *range(5, 5 + i % 28), 3] for i in range(200)]
    alone = [run(runner, [sentence])[0] for sentence in many]
    np.testing.assert_allclose(run(runner, many), alone, rtol=0, atol=1e-6)
    run(runner, few)
    assert list(runner.replicas[0]._sessions) == opened
    assert runner._workers is not None
    # The joint session has a thread to itself: its batches run in turn.
    assert runner._workers._max_workers == (1 if optimize_for == "latency" else 3)
    runner.close()


def test_what_is_written_is_told_run_by_run(runner: Runner) -> None:
    runs: list[list[int]] = []
    out = np.empty((100, 32), np.float32)
    runner.submit([[2, *[9] * (i % 20), 3] for i in range(100)]).write(out, runs.append)
    assert sorted(position for positions in runs for position in positions) == [*range(100)]
    assert all(runs)


def test_cancelled_work_does_not_run(artifact: Path) -> None:
    runner = Runner(artifact, Manifest.read(artifact), devices=["cpu"], threads=1, limits=SMALL)
    gate = threading.Event()
    run(runner, [[2, 9, 3]] * 100)
    assert runner._workers is not None
    blocker = runner._workers.submit(gate.wait, 30)
    pending = runner.submit([[2, 9, 3]] * 100)
    pending.cancel()
    gate.set()
    runner.close()
    assert blocker.result() is True
    assert all(future.cancelled() for _, future in pending._parts)


def test_close_lets_submitted_work_end(artifact: Path) -> None:
    runner = Runner(artifact, Manifest.read(artifact), devices=["cpu"], threads=1, limits=SMALL)
    gate = threading.Event()
    ids = [[2, *[9] * (i % 20), 3] for i in range(100)]
    expected = run(runner, ids)
    assert runner._workers is not None
    runner._workers.submit(gate.wait, 30)
    pending = runner.submit(ids)
    with ThreadPoolExecutor(1) as other:
        closing = other.submit(runner.close)
        while not runner._closed:
            pass
        with pytest.raises(ClosedError):
            runner.submit(ids)
        gate.set()
        out = np.empty_like(expected)
        pending.write(out)
        closing.result(30)
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-6)


def test_closed(artifact: Path) -> None:
    runner = Runner(artifact, Manifest.read(artifact), devices=["cpu"], threads=2, limits=SMALL)
    runner.close()
    runner.close()
    for ids in ([[2, 9, 3]], [[2, 9, 3]] * 100):
        with pytest.raises(ClosedError, match="closed; open a new one"):
            runner.submit(ids)
    with pytest.raises(ClosedError):
        runner.joint()
    with pytest.raises(ClosedError):
        runner.single()


def test_error_of_a_batch_reaches_the_caller(runner: Runner) -> None:
    # Ids above the vocabulary.
    for ids in ([[2, 99_999, 3]], [[2, 99_999, 3]] * 100):
        with pytest.raises(Exception, match=r"indices element out of data bounds|out of range"):
            runner.submit(ids).write(np.empty((len(ids), 32), np.float32))
    assert np.isfinite(run(runner, [[2, 9, 3]] * 100)).all()


def test_unknown_device(artifact: Path) -> None:
    with pytest.raises(ProviderError, match="device 'tpu' is unknown"):
        Runner(artifact, Manifest.read(artifact), devices=["tpu"], threads=1).joint()
