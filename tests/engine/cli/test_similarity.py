"""The command similarity: figures, JSON, a table that lines up."""

import json
from pathlib import Path

import numpy as np
import pytest

from simcse_engine import Encoder
from simcse_engine.cli.similarity import cosine_table
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
    assert header.split() == ["1", "2", "3", "4"]
    values = [[float(value) for value in row.split()[1:5]] for row in rows]
    np.testing.assert_allclose(values, expected[:4] @ expected[:4].T, atol=1e-4)
    assert rows[0].endswith(TEXTS[0])


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


def test_a_table_has_one_line_a_sentence() -> None:
    sentences = ["Short.", "Two\nlines\tand a tab.", "long " * 100]
    lines = cosine_table(sentences, np.array([[1, 0.25, -0.5], [0.25, 1, 0], [-0.5, 0, 1]])).split("\n")
    assert lines[0].split() == ["1", "2", "3"]
    assert lines[1].split() == ["1", "1.0000", "0.2500", "-0.5000", "Short."]
    assert lines[2].endswith("  Two lines and a tab.")
    assert lines[3].endswith("…")
    assert len(lines[3]) < 120
    # Every number ends under its column's number.
    ends = [position for position, character in enumerate(lines[0]) if character.isdigit()]
    assert all(line[end].isdigit() and line[end + 1] == " " for line in lines[1:] for end in ends)
