"""Parts on a Ray of two workers: whatever is killed, the rows are those of a run in one go, each once."""

import json
import random
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from simcse_engine.errors import ProviderError
from simcse_engine.shards.cluster import Attempt
from simcse_engine.shards.plan import Part
from simcse_engine.shards.sources import find_sources
from simcse_export import ExportOptions, export
from support.commands import run
from support.maker import short_calibration
from support.ray import ENCODE, RayProgram, running
from support.shards import rows, shards

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

ROWS, SHARD_ROWS = 12_000, 500
# The CPUs of each follow from their number.
ON_RAY = ("--ray", "--num-actors", "2", "--json")


@pytest.fixture(scope="module")
def int8(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact whose vectors have the same bits wherever they are encoded."""
    folder = tmp_path_factory.mktemp("int8") / "artifact"
    calibration = short_calibration(tmp_path_factory)
    export(checkpoint, folder, ExportOptions(pooler="cls", max_tokens=32, precision="int8", calibration=calibration))
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    texts = [f"the cat number {i} is on the mat {'and walks ' * (i % 3)}" for i in range(ROWS)]
    table = pa.table({"text": texts, "id": pa.array(range(ROWS), pa.int32())})
    pq.write_table(table.slice(0, 9_000), folder / "a.parquet", row_group_size=1300)
    pq.write_table(table.slice(9_000, 2_000), folder / "b.parquet")
    (folder / "c.csv").write_text("id,text\n" + "".join(f"{i},{texts[i]}\n" for i in range(11_000, ROWS)))
    return folder


def actors(program: RayProgram) -> list[int]:
    """Those that are there, once there are some: Ray may be starting others again."""
    for _ in range(600):
        if found := program.processes("ray::_Actor"):
            return found
        time.sleep(0.05)
    pytest.fail("no actor in half a minute")


def until(program: RayProgram, output: Path, count: int) -> None:
    """Wait until there are so many shards."""
    for _ in range(3000):
        if len(shards(output)) >= count:
            return
        if program.process.poll() is not None:
            pytest.fail(f"it has ended: {program.process.communicate()}")
        time.sleep(0.02)
    pytest.fail(f"{len(shards(output))} shards in a minute")


def test_killed_actors_and_drivers_lose_nothing(int8: Path, data: Path, tmp_path: Path) -> None:
    chosen, output = random.Random(3), tmp_path / "out"
    options = (int8, data, "--shard-rows", str(SHARD_ROWS), "--keep-columns", "id")
    command = (*ENCODE, *options, "-o", f"{output}/", *ON_RAY, "--resume")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with running(*command, **pipes) as first:
        for count in (1, 4):
            until(first, output, count)
            first.kill(chosen.choice(actors(first)))
        until(first, output, 8)
        first.kill(first.process.pid)
    safe = {path: path.stat().st_mtime_ns for path in shards(output)}
    assert len(safe) < ROWS / SHARD_ROWS
    with running(*command, **pipes) as second:
        until(second, output, len(safe) + 2)
        second.kill(*actors(second))
        report, errors = second.process.communicate(timeout=120)
        assert second.process.returncode == 0, errors
    # The report alone, whatever Ray says of workers.
    report = json.loads(report)
    assert (report["rows"], report["shards"]) == (ROWS, ROWS / SHARD_ROWS)
    assert safe.items() <= {path: path.stat().st_mtime_ns for path in shards(output)}.items()

    assert run("encode", *options, "-o", f"{tmp_path}/whole/") == 0
    found, expected = rows(output), rows(tmp_path / "whole")
    assert len(found) == ROWS
    assert list(found) == list(expected)
    for name in ("text", "id"):
        assert [row[name] for row in found.values()] == [row[name] for row in expected.values()]
    vectors, wanted = (np.array([row["vector"] for row in each.values()], np.float32) for each in (found, expected))
    np.testing.assert_array_equal(vectors, wanted)


def test_what_a_worker_says_is_said_here(artifact: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"text": "a"}\n{"text": 5}\n')
    with running(
        *ENCODE, artifact, tmp_path / "bad.jsonl", "-o", f"{tmp_path}/out/", *ON_RAY, stderr=subprocess.PIPE
    ) as program:
        _, errors = program.process.communicate(timeout=120)
    assert program.process.returncode == 1
    assert errors.decode().endswith(
        f'simcse-engine: error: {tmp_path}/bad.jsonl, line 2: expected a string under "text", not 5\n'
    )


def test_attempts_that_write_shards_are_not_in_vain(data: Path) -> None:
    (*_, source) = find_sources([str(data)], Path("/nowhere"), "text").sources
    attempt, error = Attempt(Part(source=source, ranges=None), 0), OSError("ended")
    for shards_there in (0, 0, 0, 1, 1, 2, 2, 2, 2):
        attempt = attempt.next(shards_there, error)
    with pytest.raises(ProviderError, match=r"c\.csv: 4 workers on Ray ended"):
        attempt.next(2, error)


def test_without_ray(artifact: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("encode", artifact, data, "-o", f"{tmp_path}/out/", "--ray") == 1
    assert "pip install 'simcse-engine[ray]'" in capsys.readouterr().err
