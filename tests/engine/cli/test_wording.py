"""Advice on the command line is given in its own options."""

import json
from pathlib import Path

import pytest

from simcse_engine import Index
from simcse_export import ExportOptions, export
from support.commands import failure, run


def test_no_index(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = failure(capsys, "search", tmp_path / "none", "a")
    assert message.endswith("none: does not exist; simcse-engine index create makes one\n")


def test_a_locked_index(index: Path, lines: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Index.open(index, read_only=False):
        message = failure(capsys, "index", "add", index, lines)
    assert message.endswith("; close it there first; readers need no lock, and see what it adds\n")


def test_another_artifact(
    index: Path, checkpoint: Path, artifact_copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export(checkpoint, tmp_path / "other", ExportOptions(pooler="cls", max_tokens=32, target="cuda"))
    message = failure(capsys, "search", index, "a", "--artifact", tmp_path / "other")
    assert message.endswith("in another precision or export; --same-model accepts it\n")
    assert run("index", "create", tmp_path / "moving", artifact_copy) == 0
    artifact_copy.rename(tmp_path / "moved")
    with Index.open(tmp_path / "moving", artifact=tmp_path / "moved") as opened:
        opened.add(["a"])
    message = failure(capsys, "search", tmp_path / "moving", "a")
    assert message.endswith(
        "copy: does not exist; simcse-export CHECKPOINT -o ARTIFACT makes one); name it with --artifact\n"
    )


def test_keys_of_a_file(index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "more.jsonl"
    file.write_text('{"text": "a", "key": 9}\n{"text": "b", "key": 8}\n{"text": "c", "key": 9}\n')
    assert f"{file}, entries 1 to 3: key 3 is key 1 again (9)" in failure(capsys, "index", "add", index, file)
    file.write_text('{"text": "a", "metadata": {"x": [1e999]}}\n')
    assert "entries 1 to 1: metadata 1['x'][0] is inf" in failure(capsys, "index", "add", index, file)
    vectors = [{"text": f"{i}", "key": i, "vector": [1.0] * 32} for i in range(5000)]
    file.write_text("".join(f"{json.dumps({**row, 'key': -1} if row['key'] == 4500 else row)}\n" for row in vectors))
    # The line before says how many are safe.
    assert run("index", "add", index, file) == 1
    assert f"{file}, line 4501: the key is -1; expected a whole number" in capsys.readouterr().err
