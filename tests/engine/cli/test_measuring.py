"""The commands evaluate and bench as their users meet them."""

import json
from pathlib import Path

import numpy as np
import pytest

from simcse_engine import Encoder, Manifest
from simcse_engine.cli.main import main

LONG = "the cat " * 50  # the artifact's limit is 32 tokens
PAIRS = (
    "5\tA man plays a guitar.\tthe man plays a guitar\n"
    "4.2\tthe cat is on the mat\tthe cat is running on the mat\n"
    "2\ta man walks\tthe dog is running\n"
    f"0\ta man walks\t{LONG}\n"
)


@pytest.fixture
def sts(tmp_path: Path) -> Path:
    folder = tmp_path / "sts"
    folder.mkdir()
    (folder / "small.tsv").write_text(PAIRS)
    (folder / "again.tsv").write_text(PAIRS)
    return folder


def run(*args: str | Path) -> int:
    return main([str(arg) for arg in args])


def wrong_use(capsys: pytest.CaptureFixture[str], *args: str | Path) -> str:
    with pytest.raises(SystemExit) as caught:
        run(*args)
    assert caught.value.code == 2
    return capsys.readouterr().err


def failure(capsys: pytest.CaptureFixture[str], *args: str | Path) -> str:
    assert run(*args) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("simcse-engine: error: ")
    return captured.err


def test_evaluate(artifact: Path, sts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("evaluate", artifact, "--sts", sts, "--threads", "1") == 0
    captured = capsys.readouterr()
    assert [line.split()[0] for line in captured.out.splitlines()] == [
        *("task", "again", "small", "average", "alignment", "uniformity")
    ]
    # Each distinct sentence once, in both tasks together; no bar where stderr is no terminal.
    message = "1 of 7 texts were longer than max_tokens=32 tokens and were cut"
    assert captured.err == f"simcse-engine: warning: {message}\n"


def test_evaluate_json(artifact: Path, sts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("evaluate", artifact, "--sts", sts, "--json", "--truncate", "silent") == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    document = json.loads(captured.out)
    assert document["identity"] == Manifest.read(artifact).identity
    assert (document["truncated"], document["sentences"]) == (1, 7)
    assert list(document["tasks"]) == ["again", "small"]
    assert document["tasks"]["small"]["pairs"] == 4
    assert document["average"] == document["tasks"]["small"]["spearman"] == document["tasks"]["again"]["spearman"]
    with Encoder(artifact, truncate="silent") as encoder:
        pairs = encoder.encode([text for line in PAIRS.splitlines() for text in line.split("\t")[1:]]).reshape(4, 2, -1)
    positive = pairs[:2].astype(np.float64)
    expected = np.mean(np.sum((positive[:, 0] - positive[:, 1]) ** 2, axis=1))
    assert document["alignment"] == pytest.approx(expected, abs=1e-5)


def test_evaluate_refuses_what_is_no_sts_folder(
    artifact: Path, sts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "no such folder" in failure(capsys, "evaluate", artifact, "--sts", tmp_path / "none")
    (sts / "small.tsv").write_text("5\tone\ttwo\nfive\tone\ttwo\n")
    # Told before an artifact is looked for.
    assert "small.tsv, line 2: the score is 'five'" in failure(capsys, "evaluate", tmp_path / "none", "--sts", sts)
    assert "--sts" in wrong_use(capsys, "evaluate", artifact)


def test_bench(artifact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("bench", artifact, "--seconds", "0.02", "--threads", "1") == 0
    captured = capsys.readouterr()
    for fact in ("8 tokens", "16 tokens", "32 tokens", "texts: generated", "p99.9", "peak: ", "1 thread,"):
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
