"""The command evaluate as its users meet it, and its table."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from simcse_engine import Encoder, Manifest
from simcse_engine.cli.evaluate import comparison, quality_table
from simcse_engine.measure.quality import Quality, TaskQuality
from support.commands import failure, run, wrong_use

TASKS = {
    "stsb-dev": TaskQuality(spearman=85.678, pairs=1500, alignment=0.3, uniformity=-3.5),
    "x": TaskQuality(spearman=-3.2, pairs=2, alignment=None, uniformity=-0.25),
}


def test_quality() -> None:
    quality = Quality(tasks=TASKS, average=41.239, alignment=0.30094, uniformity=-3.5413, sentences=2900)
    assert quality_table(quality).splitlines() == [
        "task             pairs  Spearman x 100  alignment  uniformity",
        "stsb-dev         1,500           85.68      0.300      -3.500",
        "x                    2           -3.20          -      -0.250",
        "average                          41.24",
        "all together     1,502                      0.301      -3.541",
        "alignment: of pairs with a score above 4; uniformity: of the 2,900 distinct sentences; "
        "of both, smaller is better",
    ]


def test_quality_of_a_sample() -> None:
    table = quality_table(Quality(tasks=TASKS, average=1, alignment=None, uniformity=-3, sentences=20_000))
    assert "of the 20,000 distinct sentences, a sample of 16,384; of" in table


def test_artifacts_side_by_side() -> None:
    one = Quality(tasks=TASKS, average=41.239, alignment=0.30094, uniformity=-3.5413, sentences=2900)
    other = Quality(tasks=TASKS, average=5, alignment=None, uniformity=-2, sentences=2900)
    assert comparison({"artifacts/fp32": one, "int8": other}).splitlines()[:3] == [
        "Spearman x 100  stsb-dev       x  average  alignment  uniformity",
        "artifacts/fp32     85.68   -3.20    41.24      0.301      -3.541",
        "int8               85.68   -3.20     5.00          -      -2.000",
    ]


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
        *("task", "again", "small", "average", "all", "alignment:")
    ]
    # Each distinct sentence once, in both tasks together; no bar where stderr is no terminal.
    message = "1 of 7 texts were longer than the limit of 32 tokens and were cut"
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
    assert "none: no such file or folder" in failure(capsys, "evaluate", artifact, "--sts", tmp_path / "none")
    (sts / "small.tsv").write_text("5\tone\ttwo\nfive\tone\ttwo\n")
    # Told before an artifact is looked for.
    assert "small.tsv, line 2: the score is 'five'" in failure(capsys, "evaluate", tmp_path / "none", "--sts", sts)
    assert "--sts" in wrong_use(capsys, "evaluate", artifact)


def test_evaluate_artifacts_together(
    artifact: Path, sts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twin = tmp_path / "twin"
    shutil.copytree(artifact, twin)
    plot = tmp_path / "plot.svg"
    assert run("evaluate", artifact, twin, "--sts", sts, "--truncate", "silent", "--plot", plot) == 0
    captured = capsys.readouterr()
    rows = [line.split() for line in captured.out.splitlines()]
    assert rows[0] == ["Spearman", "x", "100", "again", "small", "average", "alignment", "uniformity"]
    assert [row[0] for row in rows[1:3]] == [str(artifact), str(twin)]
    assert rows[1][1:] == rows[2][1:]
    assert plot.read_text().count("<svg") == 1

    assert run("evaluate", artifact, twin, "--sts", sts / "small.tsv", "--truncate", "silent", "--json") == 0
    reports = json.loads(capsys.readouterr().out)["artifacts"]
    assert [report["artifact"] for report in reports] == [str(artifact), str(twin)]
    assert list(reports[0]["tasks"]) == ["small"]


def test_what_cannot_be_evaluated_is_refused_first(
    artifact: Path, sts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # The second of two, before the first was encoded: nothing was cut yet.
    message = failure(capsys, "evaluate", artifact, tmp_path / "none", "--sts", sts)
    assert "does not exist" in message
    assert "were cut" not in message
    assert "must end with .svg, .png or .pdf" in wrong_use(
        capsys, "evaluate", artifact, "--sts", sts, "--plot", "x.gif"
    )
