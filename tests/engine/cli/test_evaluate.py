"""The command evaluate as its users meet it, and its table."""

import json
from pathlib import Path

import numpy as np
import pytest

from simcse_engine import Encoder, Manifest
from simcse_engine.cli.evaluate import quality_table
from simcse_engine.measure.quality import Quality, TaskQuality
from support.commands import failure, run, wrong_use

TASKS = {"stsb-dev": TaskQuality(spearman=85.678, pairs=1500), "x": TaskQuality(spearman=-3.2, pairs=2)}


def test_quality() -> None:
    quality = Quality(tasks=TASKS, average=41.239, alignment=0.30094, uniformity=-3.5413, sentences=2900)
    assert quality_table(quality).splitlines() == [
        "task           pairs  Spearman x 100",
        "stsb-dev       1,500           85.68",
        "x                  2           -3.20",
        "average                        41.24",
        "alignment                      0.301  over pairs with a score above 4; smaller is better",
        "uniformity                    -3.541  over 2,900 distinct sentences; smaller is better",
    ]


def test_quality_without_positive_pairs_and_with_a_sample() -> None:
    table = quality_table(Quality(tasks=TASKS, average=1, alignment=None, uniformity=-3, sentences=20_000))
    assert "alignment                          -  over" in table
    assert "over a sample of 16,384 of 20,000 distinct sentences" in table


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
