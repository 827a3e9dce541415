"""The command similarity: figures, JSON, a table that lines up."""

import json
from pathlib import Path

import numpy as np
import pytest

from simcse_engine import Encoder
from simcse_engine.cli.similarity import cosine_table
from simcse_engine.cli.widths import width_of
from simcse_export import ExportOptions, export
from support.commands import failure, run

TEXTS = ["A man plays a guitar.", "", "Größe 一个男人", "the cat is on the mat", "a\x0bb\u2028c"]
LONG = "the cat " * 50  # the artifact's limit is 32 tokens


@pytest.fixture(scope="session")
def expected(artifact: Path) -> np.ndarray:
    with Encoder(artifact) as encoder:
        return encoder.encode(TEXTS)


def test_similarity_of_two(artifact: Path, expected: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("similarity", artifact, TEXTS[0], TEXTS[3]) == 0
    assert float(capsys.readouterr().out) == pytest.approx(float(expected[0] @ expected[3]), abs=1e-4)


def test_similarity_of_more(artifact: Path, expected: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("similarity", artifact, *TEXTS[:4]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert [word for word in header.split() if word.isdigit()] == ["1", "2", "3", "4"]
    values = [[float(value) for value in row.split()[-4:]] for row in rows]
    np.testing.assert_allclose(values, expected[:4] @ expected[:4].T, atol=1e-4)
    assert rows[0].startswith(f"1 {TEXTS[0]} ")
    assert "2  " in header
    assert "3 Größe 一" in header


def test_similarity_where_vectors_are_not_normalized(
    checkpoint: Path, expected: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ExportOptions(pooler="cls", max_tokens=32, normalize=False)
    export(checkpoint, tmp_path / "raw", options)
    capsys.readouterr()
    assert run("similarity", tmp_path / "raw", TEXTS[0], TEXTS[3]) == 0
    assert float(capsys.readouterr().out) == pytest.approx(float(expected[0] @ expected[3]), abs=1e-4)


def test_similarity_json(artifact: Path, expected: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("similarity", artifact, *TEXTS[:3], LONG, "--json") == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert set(document) == {"sentences", "cosines", "truncated"}
    assert document["sentences"] == [*TEXTS[:3], LONG]
    np.testing.assert_allclose(np.array(document["cosines"])[:3, :3], expected[:3] @ expected[:3].T, atol=1e-6)
    assert document["truncated"] == 1


def test_a_lone_surrogate_among_the_arguments(artifact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # What Python makes of an argument that is not UTF-8.
    assert "text 2 holds a lone surrogate" in failure(
        capsys, "similarity", artifact, "a", b"caf\xe9".decode("utf-8", "surrogateescape")
    )


VALUES = np.array([[1, 0.25, -0.5], [0.25, 1, 0], [-0.5, 0, 1]])


def test_rows_and_columns_are_labelled() -> None:
    sentences = ["Short.", "Two\nlines and an escape \x1b[31m.", "long " * 100]
    assert cosine_table(sentences, VALUES, 80).split("\n") == [
        "                            1 Short.          2 Two lines and…  3 long long lon…",
        "1 Short.                    1.0000            0.2500            -0.5000",
        "2 Two lines and an escape…  0.2500            1.0000            0.0000",
        "3 long long long long lon…  -0.5000           0.0000            1.0000",
    ]


def test_columns_stand_below_each_other_in_every_script() -> None:
    lines = cosine_table(["一个男人在弹吉他", "e\u0301te\u0301", "x"], VALUES, 60).split("\n")
    starts = {
        width_of(line[: line.index(cell)]) for line, cell in zip(lines, ["2 e", "0.25", "1.0", "0.0"], strict=True)
    }
    assert len(starts) == 1
    # However little room there is, cosines are shown.
    narrow = cosine_table(["a"] * 3, VALUES, 20).split("\n")
    assert narrow[1].split() == ["1", "a", "1.0000", "0.2500", "-0.5000"]
