"""The command bench as its users meet it, and its table."""

import dataclasses
import json
from pathlib import Path

import pytest

from simcse_engine.cli.bench import bench_table
from simcse_engine.measure.results import Bench, Latency, Spread, Throughput
from support.commands import failure, run, wrong_use

LONG = "the cat " * 50  # the artifact's limit is 32 tokens


def entry(tokens: float) -> Throughput:
    return Throughput(
        rounds=5,
        sentences_per_round=100,
        tokens_per_sentence=tokens,
        sentences_per_s=Spread(median=2000, min=1900.4, max=2100),
        tokens_per_s=Spread(median=16_000, min=1, max=2),
    )


def test_table() -> None:
    measured = Bench(
        artifact={"path": "a", "source": "tiny", "pooler": "cls", "precision": "fp32", "target": "cpu"},
        machine={"cpu": "A CPU", "threads": 2, "onnxruntime": "1.22.0", "kernels": "avx2"},
        seconds=1,
        texts_source="generated",
        texts_cut=0,
        lengths=[entry(8)],
        texts=entry(17.25),
        latency=Latency(calls=1234, p50_ms=1.5, p90_ms=2, p99_ms=3, p99_9_ms=4),
    )
    assert bench_table(measured).splitlines() == [
        "a: tiny, pooler cls, fp32 for cpu",
        "A CPU, 2 threads, onnxruntime 1.22.0, avx2 kernels",
        "",
        "                 sentences/s         (min - max)    tokens/s",
        "8 tokens               2,000     (1,900 - 2,100)      16,000",
        "texts                  2,000     (1,900 - 2,100)      16,000",
        "",
        "texts: generated, 17.2 tokens on average",
        "one text at a time: p50 1.50 ms, p90 2.00, p99 3.00, p99.9 4.00 (1,234 calls)",
    ]
    assert "17.2 tokens on average, 7 of them cut" in bench_table(dataclasses.replace(measured, texts_cut=7))


def test_bench(artifact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("bench", artifact, "--seconds", "0.02", "--threads", "1") == 0
    captured = capsys.readouterr()
    for fact in ("8 tokens", "16 tokens", "32 tokens", "texts: generated", "p99.9", "1 thread,"):
        assert fact in captured.out
    assert captured.err == ""


def test_bench_json(artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "texts.txt").write_text(f"{LONG}\nthe cat\n")
    args = ("bench", artifact, tmp_path / "texts.txt", "--seconds", "0.02", "--threads", "2", "--json")
    assert run(*args) == 0
    captured = capsys.readouterr()
    # Cut texts are counted among the figures; a warning a round would be noise.
    assert captured.err == ""
    document = json.loads(captured.out)
    assert (document["texts_cut"], document["machine"]["threads"]) == (1, 2)
    assert document["texts_source"] == str(tmp_path / "texts.txt")


def test_bench_failures_and_wrong_use(artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no such file" in failure(capsys, "bench", artifact, tmp_path / "none.txt")
    assert "does not exist" in failure(capsys, "bench", tmp_path / "none")
    for seconds in ("0", "-1", "nan", "inf", "long"):
        assert "not a number of seconds" in wrong_use(capsys, "bench", artifact, f"--seconds={seconds}")
    assert "not a whole number" in wrong_use(capsys, "bench", artifact, "--threads", "0")
