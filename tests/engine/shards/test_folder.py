"""Runs that go on: with the shards that are there, and what must be the same for that."""

import json
import os
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from simcse_export import ExportOptions, export
from support.commands import answer, failure
from support.shards import NAMES, TEXTS, check, shards, stated, times

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

SHARD = "b.txt-000000000020.parquet"


def test_any_shards_that_are_there_stay(
    artifact: Path, data: Path, expected: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    command = ("encode", artifact, data, "-o", f"{output}/", "--shard-rows", "20", "--resume")
    # Nothing there yet is nothing to go on with.
    assert answer(capsys, *command)["encoded"] == 150
    chosen = random.Random(7)
    for _ in range(3):
        removed = chosen.sample(shards(output), 4)
        lost = sum(pq.read_metadata(path).num_rows for path in removed)
        for path in removed:
            path.unlink()
        before = times(output)
        report = answer(capsys, *command)
        assert (report["encoded"], report["rows"], report["shards"]) == (lost, 150, 10)
        assert before.items() <= times(output).items()
        check(output, expected)
    # All is there: not even the model is loaded.
    (artifact_copy := tmp_path / "artifact").mkdir()
    shutil.copy(artifact / "manifest.json", artifact_copy)
    assert answer(capsys, "encode", artifact_copy, *command[2:])["encoded"] == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--shard-rows", "21"), "was encoded with --shard-rows 20"),
        (("--dtype", "int8"), "was encoded with --dtype float32"),
        (("--dimensions", "8"), "was encoded with --dimensions 32"),
        (("--prompt", "query: "), 'was encoded with --prompt ""'),
        (("--max-tokens", "8"), "was encoded with --max-tokens 32"),
        (("--keep-columns", "*"), 'was encoded with --keep-columns ""'),
    ],
)
def test_other_settings_are_refused(
    artifact: Path, data: Path, output: Path, options: tuple[str, str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    there = times(output)
    message = failure(capsys, "encode", artifact, data, "-o", output, "--resume", "--shard-rows", "20", *options)
    assert says in message
    assert times(output) == there


def test_another_artifact_is_refused(
    checkpoint: Path, data: Path, output: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export(checkpoint, tmp_path / "other", ExportOptions(pooler="avg", max_tokens=32))
    message = failure(capsys, "encode", tmp_path / "other", data, "-o", output, "--resume", "--shard-rows", "20")
    assert "was encoded with another artifact" in message


def test_inputs_that_changed(
    artifact: Path, data: Path, output: Path, expected: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("encode", artifact, data, "-o", output, "--resume", "--shard-rows", "20")
    (data / "b.txt").write_text("".join(text + "\n" for text in TEXTS))
    message = failure(capsys, *command)
    assert str(data / "b.txt") in message
    assert "was changed since" in message
    # What the message says.
    for path in output.glob("b.txt-*"):
        path.unlink()
    assert answer(capsys, *command)["encoded"] == 50
    check(output, expected)
    (data / "b.txt").unlink()
    assert "is of b.txt, which is not among the inputs" in failure(capsys, *command)


def test_files_that_are_added_are_encoded_too(
    artifact: Path, data: Path, output: Path, expected: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(data / "b.txt", data / "later.txt")
    there = times(output)
    assert answer(capsys, "encode", artifact, data, "-o", output, "--resume", "--shard-rows", "20")["encoded"] == 50
    check(output, expected, (*NAMES, "later.txt"))
    assert there.items() <= times(output).items()


SHARD = "b.txt-000000000020.parquet"


def restate(path: Path, about: bytes, *, keep: int | None = None, **numbers: str) -> None:
    """Have a shard state other things of itself: these instead of its numbers; ``keep`` only its first rows."""
    for name, number in numbers.items():
        about, changed = re.subn(rb'"%s": \d+' % name.encode(), b'"%s": %s' % (name.encode(), number.encode()), about)
        assert changed == 1
    table = pq.read_table(path).slice(0, keep)
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, b"simcse_engine.shard": about}), path)


@pytest.mark.parametrize(
    ("leave", "says"),
    [
        pytest.param(lambda out: (out / "notes.txt").write_text("hello"), "notes.txt: is no shard", id="another file"),
        pytest.param(lambda out: (out / "x.parquet").write_bytes(b"PAR1"), "x.parquet: is no shard", id="no Parquet"),
        pytest.param(
            lambda out: pq.write_table(pa.table({"text": ["a"]}), out / "x.parquet"), "x.parquet: is no", id="foreign"
        ),
        pytest.param(lambda out: os.truncate(out / SHARD, 900), f"{SHARD}: is no shard", id="a torn shard"),
        pytest.param(lambda out: restate(out / SHARD, b"[" * 100_000), f"{SHARD}: is no shard", id="depths"),
        pytest.param(
            lambda out: restate(out / SHARD, json.dumps(stated(out / SHARD)).encode(), size="Infinity"),
            f"{SHARD}: is no shard",
            id="infinity",
        ),
        pytest.param(
            lambda out: restate(out / SHARD, json.dumps(stated(out / SHARD)).encode(), rows="45"),
            f"{SHARD}: says rows 20 to 40 of 45, which is no shard of b.txt",
            id="other rows",
        ),
        pytest.param(
            lambda out: restate(out / SHARD, json.dumps(stated(out / SHARD)).encode(), keep=10, stop="30"),
            f"{SHARD}: says rows 20 to 30 of 50, which is no shard of b.txt",
            id="another range",
        ),
        pytest.param(lambda out: shutil.copy(out / SHARD, out / f"copy-{SHARD}"), "is a copy", id="a copy"),
        pytest.param(lambda out: (out / "x").symlink_to(out / SHARD), "x: is a link", id="a link"),
        pytest.param(lambda out: os.mkfifo(out / "x.parquet"), "x.parquet: is a link, a pipe", id="a pipe"),
        pytest.param(lambda out: (out / "sub/x").mkdir(), None, id="an empty folder"),
        pytest.param(lambda out: (out / "_SUCCESS").touch(), None, id="what readers do not see"),
        pytest.param(lambda out: (out / f".{SHARD}.partial-0000").write_text("x"), None, id="what a killed run left"),
    ],
)
def test_what_lies_in_the_folder_beside_shards(
    artifact: Path,
    data: Path,
    output: Path,
    leave: Callable[[Path], object],
    says: str | None,
    expected: np.ndarray,
    capsys: pytest.CaptureFixture[str],
) -> None:
    leave(output)
    command = ("encode", artifact, data, "-o", output, "--resume", "--shard-rows", "20")
    if says is not None:
        assert says in failure(capsys, *command)
        return
    (output / SHARD).unlink()
    assert answer(capsys, *command)["encoded"] == 20
    check(output, expected)
    # Whoever wrote the shard has removed what was left of it.
    assert not [*output.glob(".*partial*")]
