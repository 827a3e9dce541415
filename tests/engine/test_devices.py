"""Several devices in one encoder: here two replicas on the CPU, which share its threads."""

import asyncio
import dataclasses
import os
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from simcse_engine import AsyncEncoder, Encoder, Manifest
from simcse_engine.errors import ClosedError, InputTypeError, InputValueError, LimitError, ProviderError
from simcse_engine.machine.nvidia import Driver, Gpu
from simcse_engine.replica import Replica
from simcse_engine.schedule import GPU_LIMITS, KERNEL_LIMITS, Limits, limits_for
from simcse_engine.selection import checked_devices
from simcse_engine.session.cpu import CpuSession
from simcse_engine.session.kernels import without_kernels
from simcse_engine.session.session import Session
from support.child import run_script

TEXTS = [f"a man {'and a cat ' * (i % 5)}number {i}" for i in range(300)]
H100 = Gpu(name="NVIDIA H100 80GB HBM3", compute_capability=90)


@pytest.fixture(scope="module")
def expected(artifact: Path, with_and_without: str) -> NDArray[np.float32]:  # noqa: ARG001
    with Encoder(artifact, threads=1) as encoder:
        return encoder.encode(TEXTS)


@pytest.fixture
def encoder(artifact: Path, with_and_without: str) -> Iterator[Encoder]:  # noqa: ARG001
    with Encoder(artifact, devices=["cpu", "cpu"], threads=3) as made:
        yield made


Runs = list[tuple[Session, threading.Thread]]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    """The session and thread of every run."""
    seen: Runs = []
    run = CpuSession.run

    def watched(self: CpuSession, *arguments: Any) -> NDArray[np.float32]:
        seen.append((self, threading.current_thread()))
        return run(self, *arguments)

    monkeypatch.setattr(CpuSession, "run", watched)
    return seen


def test_vectors_have_the_order_of_their_texts(encoder: Encoder, expected: NDArray[np.float32]) -> None:
    encoder._runner.limits = Limits(batch_tokens=40, full_batch_tokens=15, window_texts=64)
    np.testing.assert_allclose(encoder.encode(TEXTS), expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(np.concatenate(list(encoder.stream(TEXTS))), expected, rtol=0, atol=1e-6)


def test_threads_are_divided(encoder: Encoder) -> None:
    assert (encoder.device, encoder.devices) == ("cpu", ("cpu", "cpu"))
    assert [replica.side_by_side for replica in encoder._runner.replicas] == [2, 1]
    assert encoder.side_by_side == 3
    assert "on cpu, cpu" in repr(encoder)


def test_each_replica_has_a_session_and_takes_a_part(encoder: Encoder, runs: Runs) -> None:
    encoder._runner.limits = Limits(batch_tokens=40, full_batch_tokens=15)
    for _ in range(20):
        encoder.encode(TEXTS)
        # Which worker comes first is chance; none of them ever gets nothing.
        if len({id(session._session) for session, _ in runs}) == 2:
            break
    assert {id(session._session) for session, _ in runs} == {
        id(replica.single()._session) for replica in encoder._runner.replicas
    }


def test_callers_at_once_get_replicas_of_their_own(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    both, seen = threading.Barrier(2, timeout=30), []
    run = Replica.run

    def meeting(self: Replica, *arguments: Any, **options: Any) -> NDArray[np.float32]:
        seen.append(self)
        both.wait()
        return run(self, *arguments, **options)

    monkeypatch.setattr(Replica, "run", meeting)
    with ThreadPoolExecutor(2) as callers:
        list(callers.map(encoder.encode, [["a man"], ["a cat"]]))
    assert set(seen) == set(encoder._runner.replicas)
    assert [replica.running for replica in encoder._runner.replicas] == [0, 0]


def test_the_least_busy_takes_the_next_run(encoder: Encoder) -> None:
    first, second = encoder._runner.replicas
    first.running = 1
    with encoder._runner._least_busy() as taken:
        assert taken is second
        # One of two threads is busy there, and the only one here.
        with encoder._runner._least_busy() as next_one:
            assert next_one is first
    first.running = 0


def test_asyncio(encoder: Encoder, expected: NDArray[np.float32]) -> None:
    async def all_of_them() -> list[NDArray[np.float32]]:
        async with AsyncEncoder(encoder) as shared:
            return await asyncio.gather(*(shared.encode(TEXTS[i : i + 30]) for i in range(0, 300, 30)))

    np.testing.assert_allclose(np.concatenate(asyncio.run(all_of_them())), expected, rtol=0, atol=1e-6)


def test_closing_ends_all_threads(artifact: Path) -> None:
    before = threading.active_count()
    encoder = Encoder(artifact, devices=["cpu", "cpu"], threads=2)
    encoder.encode(TEXTS * 20)
    encoder.close()
    assert threading.active_count() == before
    assert not any(replica._sessions for replica in encoder._runner.replicas)
    for texts in (TEXTS[:1], TEXTS * 20):
        with pytest.raises(ClosedError):
            encoder.encode(texts)


def test_pickled(encoder: Encoder, expected: NDArray[np.float32]) -> None:
    with pickle.loads(pickle.dumps(encoder)) as copy:
        assert copy.devices == encoder.devices
        np.testing.assert_allclose(copy.encode(TEXTS), expected, rtol=0, atol=1e-6)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_child_opens_both_again(artifact: Path) -> None:
    script = """
    import os, sys, warnings
    import numpy as np
    from simcse_engine import Encoder
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    encoder = Encoder(sys.argv[1], devices=["cpu", "cpu"], threads=2)
    texts = [f"a man {i}" for i in range(2000)]
    expected = encoder.encode(texts)
    pid = os.fork()
    if pid == 0:
        right = np.allclose(encoder.encode(texts), expected, rtol=0, atol=1e-6)
        os._exit(7 if right and all(each._sessions for each in encoder._runner.replicas) else 8)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 7
    encoder.close()
    """
    assert run_script(script, artifact) == ""


def test_a_replica_that_cannot_be_opened_fails_the_opening(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second of two: what was opened before it is closed."""
    opened: list[Replica] = []
    open_ = Replica._open

    def second_fails(self: Replica, threads: int) -> Session:
        opened.append(self)
        if len(opened) == 2:
            raise ProviderError("no such GPU")
        return open_(self, threads)

    monkeypatch.setattr(Replica, "_open", second_fails)
    with pytest.raises(ProviderError, match="no such GPU"):
        Encoder(artifact, devices=["cpu", "cpu"], threads=2)
    assert not any(replica._sessions for replica in opened)


class Failing(CpuSession):
    """A session whose runs fail."""

    error: Exception

    def run(self, *_: Any) -> NDArray[np.float32]:
        """Fail."""
        raise self.error


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (RuntimeError("an illegal memory access"), ProviderError, "cuda:1: an illegal memory access; run simcse"),
        (RuntimeError("Failed to allocate memory"), LimitError, "cuda:1: memory ran out"),
        (ProviderError("cuda:1: cudaMemcpy: fails"), ProviderError, "^cuda:1: cudaMemcpy: fails$"),
        (FileNotFoundError(2, "No such file", "model.onnx"), FileNotFoundError, "model.onnx"),
    ],
)
def test_errors_on_a_gpu_name_it(artifact: Path, error: Exception, kind: type[Exception], says: str) -> None:
    manifest = Manifest.read(artifact)
    with Encoder(artifact) as encoder:
        replica = Replica(artifact, manifest, "cuda:1", threads=1, optimize_for="both", kernels=encoder._model.kernels)
        session = Failing(artifact)
        session.error = error
        replica._sessions[1] = session
        with pytest.raises(kind, match=says):
            replica.run(replica.joint(), np.array([2, 3]), np.array([2]), 0)


@pytest.mark.parametrize("way", ["bulk", "few", "run"])
def test_texts_under_way_are_finished_however_often_it_is_closed(
    artifact: Path, way: str, monkeypatch: pytest.MonkeyPatch, expected: NDArray[np.float32]
) -> None:
    begun, closed, run = threading.Event(), threading.Event(), CpuSession.run

    def held(self: CpuSession, *arguments: Any) -> NDArray[np.float32]:
        begun.set()
        assert closed.wait(60)
        return run(self, *arguments)

    with without_kernels():
        encoder = Encoder(artifact, devices=["cpu", "cpu"], threads=2)
    # Many runs of a few texts each; "few" texts run one after the other on the caller's thread.
    most = 10_000 if way == "few" else 40
    encoder._runner.limits = Limits(batch_tokens=most, full_batch_tokens=15, window_texts=512)
    ids = encoder.tokenize(TEXTS[:60]).ids
    monkeypatch.setattr(CpuSession, "run", held)
    monkeypatch.setattr(encoder._runner, "side_by_side", 1 if way == "few" else 2)
    with ThreadPoolExecutor(3) as pool:
        if way == "run":
            vectors = pool.submit(encoder.run, ids, alone=False)
        else:
            vectors = pool.submit(encoder.encode, TEXTS[:60])
        assert begun.wait(60)
        closing = [pool.submit(encoder.close) for _ in range(2)]
        if way != "bulk":  # which waits for its workers
            closing[0].result(60)
        closed.set()
        for each in closing:
            each.result(60)
        np.testing.assert_allclose(vectors.result(60), expected[:60], rtol=0, atol=1e-5)
    with pytest.raises(ClosedError):
        encoder.encode(TEXTS[:1])


def test_devices_are_the_encoders_own(artifact: Path) -> None:
    chosen = ["cpu", "cpu"]
    with Encoder(artifact, devices=chosen, threads=2) as encoder:
        chosen.append("cuda")
        with pickle.loads(pickle.dumps(encoder)) as other:
            assert other.devices == encoder.devices == ("cpu", "cpu")
    with pytest.raises(InputTypeError, match="devices="):
        Encoder(artifact, devices=(name for name in chosen))


@pytest.fixture
def for_gpus(artifact: Path) -> Manifest:
    return dataclasses.replace(Manifest.read(artifact), target="cuda", layout="packed")


def test_all_gpus(for_gpus: Manifest, artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpus: tuple[Gpu, ...] = (H100, H100)
    monkeypatch.setattr("simcse_engine.selection.driver", lambda: Driver(cuda="13.0", gpus=gpus))
    assert checked_devices(None, "all", for_gpus) == ("cuda:0", "cuda:1")
    assert checked_devices(None, "all", Manifest.read(artifact)) == ("cpu",)
    gpus = ()
    with pytest.raises(ProviderError, match="the driver sees none; see CUDA_VISIBLE_DEVICES"):
        checked_devices(None, "all", for_gpus)


def test_one_gpu_may_have_two_sessions(for_gpus: Manifest) -> None:
    assert checked_devices(None, ["cuda:0", "cuda:0"], for_gpus) == ("cuda:0", "cuda:0")
    assert checked_devices("cuda:1", None, for_gpus) == ("cuda:1",)
    assert checked_devices(None, None, for_gpus) == ("cuda",)


@pytest.mark.parametrize(
    ("devices", "kind", "says"),
    [
        ("cuda:0", InputValueError, "devices='cuda:0': expected a list such as"),
        (3, InputTypeError, "devices=3: expected a list"),
        ([], InputValueError, r"devices=\[\]: expected a list"),
        ([0, 1], InputTypeError, r"devices=\[0, 1\]: expected a list"),
        (["cuda:0", "cpu"], ProviderError, "asked for cpu, and this artifact's graph is for cuda"),
        (["cuda:0", "tpu"], ProviderError, "device 'tpu' is unknown"),
    ],
)
def test_what_is_no_choice(for_gpus: Manifest, devices: Any, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        checked_devices(None, devices, for_gpus)


def test_devices_of_two_kinds(for_gpus: Manifest) -> None:
    runs_on_both = dataclasses.replace(for_gpus, target="tensorrt", layout="grid", max_batch=8)
    with pytest.raises(InputValueError, match="CPUs and GPUs do not share work") as raised:
        checked_devices(None, ["cuda:0", "cpu"], runs_on_both)
    assert raised.value.on_command_line().startswith("--devices cuda:0,cpu: ")


def test_two_choices_at_once(artifact: Path) -> None:
    with pytest.raises(InputValueError, match="device='cpu' and devices are two choices"):
        Encoder(artifact, device="cpu", devices=["cpu"])


def test_fewer_threads_than_replicas(artifact: Path) -> None:
    with pytest.raises(InputValueError, match="threads=1: 2 replicas on the CPU need a thread each"):
        Encoder(artifact, devices=["cpu", "cpu"], threads=1)


def test_windows_hold_as_much_for_each_gpu(for_gpus: Manifest, artifact: Path) -> None:
    assert limits_for(for_gpus, "cuda:0", replicas=4).window_texts == 4 * limits_for(for_gpus, "cuda:0").window_texts
    assert limits_for(for_gpus, "cuda:0", replicas=4).batch_tokens == GPU_LIMITS.batch_tokens
    assert limits_for(Manifest.read(artifact), "cpu", kernels=True, replicas=4) == KERNEL_LIMITS
