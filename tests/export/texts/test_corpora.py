"""The sentences that int8 is calibrated on and judged by."""

import gzip
from pathlib import Path

import pytest

from simcse_engine.errors import CheckpointError
from simcse_export import ExportOptions, export
from simcse_export.texts.corpora import built_in, read_corpus
from support.checkpoints import make_checkpoint


def test_the_gate_has_not_been_calibrated_on() -> None:
    chosen, judged = built_in("calibration"), built_in("gate")
    assert len(chosen) >= 500
    assert len(judged) >= 200
    assert not {text.casefold().strip() for text in chosen} & {text.casefold().strip() for text in judged}


@pytest.mark.parametrize("name", ["calibration", "gate"])
def test_the_built_in_sentences(name: str) -> None:
    texts = built_in(name)
    assert all(text.strip() for text in texts)
    assert len(set(texts)) == len(texts)
    words = [len(text.split()) for text in texts]
    assert min(words) <= 3
    assert max(words) >= 80
    assert any(not text.isascii() for text in texts)


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    lines = [f"Zeile {i}: größer" for i in range(64)]
    path.write_text("\n".join([lines[0], "", "   ", *lines, lines[5]]) + "\n", encoding="utf-8")
    assert read_corpus(path) == lines


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no such file"),
        ("größer\n".encode("latin-1") * 100, "not UTF-8"),
        (b"", "0 distinct lines; calibration needs 64 or more"),
        (b"one line\n" * 1000, "1 distinct lines"),
        ("".join(f"line {i}\n" for i in range(63)).encode(), "63 distinct lines"),
    ],
    ids=["missing", "latin-1", "empty", "repeated", "few"],
)
def test_a_file_that_says_too_little(tmp_path: Path, content: bytes | None, says: str) -> None:
    path = tmp_path / "mine.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=says) as raised:
        read_corpus(path)
    assert str(raised.value).startswith(str(path))


def test_compressed_files_and_tables(tmp_path: Path) -> None:
    lines = [f"line {i}" for i in range(64)]
    (tmp_path / "mine.txt.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    assert read_corpus(tmp_path / "mine.txt.gz") == lines
    for name in ("mine.csv", "mine.jsonl.gz", "mine.parquet"):
        with pytest.raises(CheckpointError, match="is a table; calibration takes a file of sentences"):
            read_corpus(tmp_path / name)


def test_it_is_read_before_the_checkpoint(tmp_path: Path) -> None:
    options = ExportOptions(precision="int8", calibration=tmp_path / "nowhere.txt")
    with pytest.raises(CheckpointError, match=r"nowhere\.txt"):
        export(tmp_path / "no checkpoint", tmp_path / "artifact", options)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is a folder"):
        read_corpus(make_checkpoint(tmp_path / "checkpoint"))
