"""What a signal does to commands that run: what they keep and remove, and their exit codes."""

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from simcse_engine import Index
from simcse_engine.index.limits import SearchLimits
from support.commands import run, start
from support.indexes import names, unit_vectors

VECTORS = 25_000


@pytest.fixture(scope="module")
def large(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index whose graph, which a compaction builds, takes seconds."""
    folder = tmp_path_factory.mktemp("large") / "index"
    Index.create(folder, artifact).close()
    with Index(folder, limits=SearchLimits(extend_rows=VECTORS + 1)) as index:
        index.add_vectors(unit_vectors(VECTORS), names(VECTORS))
    return folder


def until(true: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    for _ in range(6000):
        if true():
            return
        assert process.poll() is None
        time.sleep(0.01)
    pytest.fail("waited in vain")


def test_a_compaction_leaves_the_index_as_it_was(large: Path) -> None:
    with start("index", "compact", large, stderr=subprocess.PIPE) as process:
        until(lambda: any(large.glob(".vectors-2.f32.partial-*")), process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
        assert process.stderr.read() == f"simcse-engine: interrupted; {large} is as it was before\n".encode()
    assert {path.name for path in large.iterdir()} == {"index.db", "index.db-reserve", "lock", "vectors-1.f32"}
    with Index.open(large, read_only=True) as index:
        assert len(index) == VECTORS


def test_an_export_leaves_nothing(large: Path, tmp_path: Path) -> None:
    with start("index", "export", large, tmp_path / "all.jsonl", stderr=subprocess.PIPE) as process:
        # Once something is in it: amid its creation a signal may leave it to the next writer, as kill -9 does.
        until(lambda: any(path.stat().st_size for path in tmp_path.iterdir()), process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
        assert b"all.jsonl was not written" in process.stderr.read()
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_measurement_ends(artifact: Path, number: signal.Signals) -> None:
    with start("bench", artifact, "--seconds", "600", stderr=subprocess.PIPE) as process:
        maps = Path(f"/proc/{process.pid}/maps")
        until(lambda: "onnxruntime" in maps.read_text(), process)
        process.send_signal(number)
        assert process.wait(60) == 128 + number
        assert process.stderr.read() == b""


def test_what_nohup_ignores_is_ignored(artifact: Path, tmp_path: Path) -> None:
    program = ["encode", artifact, "-", "-o", tmp_path / "vectors.npy"]
    ignoring = lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)  # noqa: E731
    with start(*program, stdin=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=ignoring) as process:
        until(lambda: any(tmp_path.iterdir()), process)
        process.send_signal(signal.SIGHUP)
        process.stdin.write(b"the cat is on the mat\n")
        process.stdin.close()
        assert process.wait(60) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["vectors.npy"]


def test_a_host_keeps_its_handlers(artifact: Path) -> None:
    numbers = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
    before = [signal.getsignal(number) for number in numbers]
    assert run("info", artifact) == 0
    assert [signal.getsignal(number) for number in numbers] == before
