"""Runs that are killed, that meet another, or whose disk is full: each row is there once in the end."""

import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from support.commands import answer, failure, run, start
from support.disks import fill, small_disk
from support.shards import rows, shards, times

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

LARGE = 12_000  # more than a run encodes before it is killed


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("large")
    texts = [f"the cat number {i} is on the mat" for i in range(LARGE)]
    pq.write_table(pa.table({"text": texts}), folder / "a.parquet", row_group_size=4000)
    (folder / "b.txt").write_text("".join(text + "\n" for text in texts))
    return folder


def ended(process: "subprocess.Popen[bytes]", folder: Path, number: signal.Signals, after: int) -> None:
    """Send a signal once there are so many shards."""
    for _ in range(2400):
        if len(shards(folder)) >= after:
            break
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    process.wait(60)


def test_killed_runs_lose_nothing(
    artifact: Path, large: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    command = ("encode", artifact, large, "-o", f"{output}/", "--shard-rows", "1000", "--resume")
    safe: dict[Path, int] = {}
    for after in (2, 7, 13):
        with start(*command, stderr=subprocess.PIPE) as process:
            ended(process, output, signal.SIGKILL, after)
            assert process.returncode == -signal.SIGKILL
        assert safe.items() <= times(output).items()
        safe = times(output)
        assert len(safe) < 2 * LARGE / 1000
    with start(*command, stderr=subprocess.PIPE) as process:
        ended(process, output, signal.SIGTERM, len(safe) + 2)
        assert process.returncode == 128 + signal.SIGTERM
        assert b"is whole; the same command with --resume goes on" in process.stderr.read()
    assert safe.items() <= times(output).items()
    answer(capsys, *command)
    assert run("encode", artifact, large / "b.txt", "-o", tmp_path / "whole.parquet") == 0
    whole = pq.read_table(tmp_path / "whole.parquet")
    expected = np.array(whole.column("vector").combine_chunks().flatten()).reshape(LARGE, -1)
    found = rows(output)
    assert len(found) == 2 * LARGE
    for name in ("a.parquet", "b.txt"):
        assert [found[name, i]["text"] for i in range(LARGE)] == whole.column("text").to_pylist()
        np.testing.assert_allclose([found[name, i]["vector"] for i in range(LARGE)], expected, atol=1e-6)
    assert not [*output.glob(".*partial*")]


def test_one_writer_at_a_time(artifact: Path, large: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out"
    command = ("encode", artifact, large, "-o", f"{output}/", "--shard-rows", "1000", "--resume")
    with start(*command, stderr=subprocess.PIPE) as process:
        for _ in range(2400):
            if shards(output):
                break
            time.sleep(0.02)
        assert "another process is writing into it" in failure(capsys, *command)
        process.kill()
        process.wait(60)


def test_a_full_disk(artifact: Path, large: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with small_disk(tmp_path / "disk", 4 << 20) as disk:
        fill(disk / "filler", leave=1 << 20)
        command = ("encode", artifact, large / "b.txt", "-o", f"{disk}/out/", "--shard-rows", "1000", "--resume")
        capsys.readouterr()
        assert run(*command) == 1
        message = capsys.readouterr().err
        assert "the disk is full" in message
        assert 0 < len(shards(disk / "out")) < LARGE // 1000
        assert not [*(disk / "out").glob(".*partial*")]
        safe = times(disk / "out")
        (disk / "filler").unlink()
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        assert answer(capsys, *command)["rows"] == LARGE
        assert safe.items() <= times(disk / "out").items()
        assert len(rows(disk / "out")) == LARGE
