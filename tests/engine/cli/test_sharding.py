"""`encode` into a folder: shards that any number of runs finish, with each row once, whatever ends a run."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simcse_engine import Encoder
from simcse_export import ExportOptions, export
from support.commands import answer, failure, run, start, wrong_use
from support.disks import fill, small_disk
from support.shards import rows, shards, stated

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

TEXTS = [f"the cat {'is on the mat ' * (i % 4)}{i}" for i in range(50)]
LARGE = 12_000  # more than a run encodes before it is killed


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Files of every kind, with 50 texts each: shards of 20 rows end amid them."""
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    columns = {"id": pa.array(range(50), pa.int16()), "text": TEXTS}
    pq.write_table(pa.table(columns), folder / "a.parquet", row_group_size=7)
    (folder / "b.txt").write_text("".join(text + "\n" for text in TEXTS))
    objects = [json.dumps({"text": text, "id": i}) for i, text in enumerate(TEXTS)]
    (folder / "sub/c.jsonl").write_text("\n".join(objects))
    (folder / "sub/empty.txt").touch()
    return folder


NAMES = ("a.parquet", "b.txt", "sub/c.jsonl")


@pytest.fixture(scope="session")
def expected(artifact: Path) -> np.ndarray:
    with Encoder(artifact) as encoder:
        return encoder.encode(TEXTS)


def check(folder: Path, expected: np.ndarray, names: tuple[str, ...] = NAMES) -> None:
    """All rows, once, in the order of their files, with the vectors that one call gives them."""
    found = rows(folder)
    assert sorted(found) == sorted((name, i) for name in names for i in range(len(TEXTS)))
    for name in names:
        assert [found[name, i]["text"] for i in range(len(TEXTS))] == TEXTS
        np.testing.assert_allclose([found[name, i]["vector"] for i in range(len(TEXTS))], expected, atol=1e-6)


def times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in shards(folder)}


def test_files_of_every_kind_into_shards(
    artifact: Path, data: Path, expected: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    report = answer(capsys, "encode", artifact, data, "-o", f"{output}/", "--shard-rows", "20")
    check(output, expected)
    assert [path.relative_to(output).as_posix() for path in shards(output)] == [
        *(f"{name}-{first:012}.parquet" for name in NAMES for first in (0, 20, 40)),
        "sub/empty.txt-000000000000.parquet",
    ]
    with Encoder(artifact) as encoder:
        identity = encoder.manifest.identity
    assert report == {
        "output": str(output),
        "files": 4,
        "shards": 10,
        "rows": 150,
        "encoded": 150,
        "dimension": expected.shape[1],
        "dtype": "float32",
        "identity": identity,
        "truncated": 0,
    }
    status = (data / "b.txt").stat()
    about = stated(output / "b.txt-000000000040.parquet")
    assert about["input"] == {"path": "b.txt", "size": status.st_size, "mtime_ns": status.st_mtime_ns, "rows": 50}
    assert (about["start"], about["stop"]) == (40, 50)
    assert about["settings"]["identity"] == identity
    # Such as index add looks for.
    assert (
        pq.read_schema(output / "b.txt-000000000040.parquet").metadata[b"simcse_engine.identity"] == identity.encode()
    )


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


def test_columns_are_kept_in_their_types(
    artifact: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    inputs = (data / "a.parquet", data / "sub")
    (data / "sub/empty.txt").unlink()
    assert run("encode", artifact, *inputs, "-o", f"{output}/", "--keep-columns", "id", "--shard-rows", "20") == 0
    table = pq.read_table(output / "a.parquet-000000000020.parquet")
    assert table.column_names == ["text", "id", "vector"]
    assert table.schema.field("id").type == pa.int16()
    assert pa.types.is_fixed_size_list(table.schema.field("vector").type)
    assert table.column("id").to_pylist() == [*range(20, 40)]
    found = rows(output)
    assert [found["sub/c.jsonl", i]["id"] for i in range(50)] == [str(i) for i in range(50)]
    assert 'no column "none" to keep' in failure(
        capsys, "encode", artifact, data / "a.parquet", "-o", f"{tmp_path}/two/", "--keep-columns", "id,none"
    )


def test_columns_that_a_later_file_lacks_are_told_before_anything_is_encoded(
    artifact: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pq.write_table(pa.table({"text": TEXTS}), data / "z.parquet")
    (data / "z.csv").write_text("text\na\n")
    for name in ("z.parquet", "z.csv"):
        inputs = (data / "a.parquet", data / name)
        message = failure(capsys, "encode", artifact, *inputs, "-o", f"{tmp_path}/out/", "--keep-columns", "id")
        assert f'{name}: no column "id" to keep; it has text' in message
        assert "--resume" not in message
        assert not shards(tmp_path / "out")


def test_fields_that_no_line_has_are_told(
    artifact: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "sub/one.jsonl").write_text('{"text": "a"}\n{"text": "b", "idd": null, "id": 1}\n')
    inputs = (data / "sub/c.jsonl", data / "sub/one.jsonl", "-o", f"{tmp_path}/out/")
    assert run("encode", artifact, *inputs, "--keep-columns", "id,idd") == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert told == [
        f'simcse-engine: warning: no line of {data}/sub/c.jsonl and of 1 more files has "idd"; it is null in the shards'
    ]


@pytest.mark.parametrize("dtype", ["float16", "int8", "ubinary"])
def test_vectors_of_every_form(artifact: Path, data: Path, tmp_path: Path, dtype: Any) -> None:
    form = ("--dimensions", "16", "--dtype", dtype)
    assert run("encode", artifact, data / "b.txt", "-o", f"{tmp_path}/out/", "--shard-rows", "20", *form) == 0
    with Encoder(artifact) as encoder:
        expected = encoder.encode(TEXTS, dimensions=16, dtype=dtype)
    found = rows(tmp_path / "out")
    vectors = np.array([found["b.txt", i]["vector"] for i in range(50)], expected.dtype)
    np.testing.assert_array_equal(vectors, expected)
    field = pq.read_schema(tmp_path / "out/b.txt-000000000000.parquet").field("vector")
    assert field.type == pa.list_(pa.from_numpy_dtype(expected.dtype), expected.shape[1])


def test_shards_fill_an_index(artifact: Path, data: Path, tmp_path: Path) -> None:
    assert run("encode", artifact, data / "b.txt", "-o", f"{tmp_path}/out/", "--shard-rows", "30") == 0
    assert run("index", "create", tmp_path / "index", artifact) == 0
    for path in shards(tmp_path / "out"):
        assert run("index", "add", tmp_path / "index", path) == 0


def test_a_folder_that_is_not_empty_is_refused(
    artifact: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/notes.txt").touch()
    # A folder that exists needs no / at its end.
    message = failure(capsys, "encode", artifact, data, "-o", tmp_path / "out")
    assert "exists already; --resume goes on" in message
    (tmp_path / "file").touch()
    assert "not a folder" in failure(capsys, "encode", artifact, data, "-o", f"{tmp_path}/file/", "--resume")


@pytest.fixture
def output(artifact: Path, data: Path, tmp_path: Path) -> Path:
    """The shards of all files."""
    assert run("encode", artifact, data, "-o", f"{tmp_path}/out/", "--shard-rows", "20") == 0
    return tmp_path / "out"


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


def test_an_unreadable_file_amid_others(
    artifact: Path, data: Path, tmp_path: Path, expected: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (data / "sub/c.jsonl").read_text()
    (data / "sub/c.jsonl").write_text(lines[:-10])
    command = ("encode", artifact, data, "-o", f"{tmp_path}/out/", "--shard-rows", "20")
    capsys.readouterr()
    assert run(*command) == 1
    message = capsys.readouterr().err
    assert f"{data}/sub/c.jsonl, line 50: not JSON" in message
    assert "--resume goes on" in message
    # Its beginning is encoded no more than its end: a file is read once before that.
    assert {stated(path)["input"]["path"] for path in shards(tmp_path / "out")} == {"a.parquet", "b.txt"}
    (data / "sub/c.jsonl").write_text(lines)
    assert answer(capsys, *command, "--resume")["encoded"] == 50
    check(tmp_path / "out", expected)


def test_a_text_that_is_too_long(
    artifact: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "b.txt").write_text("".join(text + "\n" for text in [*TEXTS[:30], "the cat " * 50, *TEXTS]))
    command = ("encode", artifact, data / "b.txt", "--shard-rows", "20")
    capsys.readouterr()
    assert run(*command, "-o", f"{tmp_path}/one/", "--truncate", "error") == 1
    assert f"{data}/b.txt, of rows 21 to 40: text 11" in capsys.readouterr().err
    assert len(shards(tmp_path / "one")) == 1
    assert run(*command, "-o", f"{tmp_path}/two/") == 0
    assert "1 of 81 texts were longer than the limit of 32 tokens and were cut" in capsys.readouterr().err


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("large")
    texts = [f"the cat number {i} is on the mat" for i in range(LARGE)]
    pq.write_table(pa.table({"text": texts}), folder / "a.parquet", row_group_size=4000)
    (folder / "b.txt").write_text("".join(text + "\n" for text in texts))
    return folder


def ended(process: "subprocess.Popen[bytes]", folder: Path, number: signal.Signals, after: int) -> None:
    """Send a signal once there are so many shards."""
    for _ in range(2400):
        if len(shards(folder)) >= after:
            break
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    process.wait(60)


def test_killed_runs_lose_nothing(
    artifact: Path, large: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    command = ("encode", artifact, large, "-o", f"{output}/", "--shard-rows", "1000", "--resume")
    safe: dict[Path, int] = {}
    for after in (2, 7, 13):
        with start(*command, stderr=subprocess.PIPE) as process:
            ended(process, output, signal.SIGKILL, after)
            assert process.returncode == -signal.SIGKILL
        assert safe.items() <= times(output).items()
        safe = times(output)
        assert len(safe) < 2 * LARGE / 1000
    with start(*command, stderr=subprocess.PIPE) as process:
        ended(process, output, signal.SIGTERM, len(safe) + 2)
        assert process.returncode == 128 + signal.SIGTERM
        assert b"is whole; the same command with --resume goes on" in process.stderr.read()
    assert safe.items() <= times(output).items()
    answer(capsys, *command)
    assert run("encode", artifact, large / "b.txt", "-o", tmp_path / "whole.parquet") == 0
    whole = pq.read_table(tmp_path / "whole.parquet")
    expected = np.array(whole.column("vector").combine_chunks().flatten()).reshape(LARGE, -1)
    found = rows(output)
    assert len(found) == 2 * LARGE
    for name in ("a.parquet", "b.txt"):
        assert [found[name, i]["text"] for i in range(LARGE)] == whole.column("text").to_pylist()
        np.testing.assert_allclose([found[name, i]["vector"] for i in range(LARGE)], expected, atol=1e-6)
    assert not [*output.glob(".*partial*")]


def test_one_writer_at_a_time(artifact: Path, large: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out"
    command = ("encode", artifact, large, "-o", f"{output}/", "--shard-rows", "1000", "--resume")
    with start(*command, stderr=subprocess.PIPE) as process:
        for _ in range(2400):
            if shards(output):
                break
            time.sleep(0.02)
        assert "another process is writing into it" in failure(capsys, *command)
        process.kill()
        process.wait(60)


def test_a_full_disk(artifact: Path, large: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with small_disk(tmp_path / "disk", 4 << 20) as disk:
        fill(disk / "filler", leave=1 << 20)
        command = ("encode", artifact, large / "b.txt", "-o", f"{disk}/out/", "--shard-rows", "1000", "--resume")
        capsys.readouterr()
        assert run(*command) == 1
        message = capsys.readouterr().err
        assert "the disk is full" in message
        assert 0 < len(shards(disk / "out")) < LARGE // 1000
        assert not [*(disk / "out").glob(".*partial*")]
        safe = times(disk / "out")
        (disk / "filler").unlink()
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        assert answer(capsys, *command)["rows"] == LARGE
        assert safe.items() <= times(disk / "out").items()
        assert len(rows(disk / "out")) == LARGE


@pytest.mark.parametrize(
    "options",
    [
        ("--resume",),
        ("--shard-rows", "20"),
        ("--keep-columns", "id"),
        ("--ray",),
        ("--num-actors", "2"),
        ("--cpus-per-actor", "1"),
    ],
)
def test_options_of_folders_are_refused_for_a_file(
    artifact: Path, data: Path, tmp_path: Path, options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    message = failure(capsys, "encode", artifact, data / "b.txt", "-o", tmp_path / "out.npy", *options)
    assert " ".join(options) in message
    assert "let the output's name end with /" in message


def test_inputs_that_need_a_folder(
    artifact: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two = (data / "a.parquet", data / "b.txt")
    assert "the name must end with" in wrong_use(capsys, "encode", artifact, data / "b.txt", "-o", "")
    assert "need a folder" in failure(capsys, "encode", artifact, *two, "-o", tmp_path / "out.npy")
    assert "is a folder" in failure(capsys, "encode", artifact, data, "-o", tmp_path / "out.npy")
    assert "name files" in failure(capsys, "encode", artifact, "-", "-o", f"{tmp_path}/out/")
    assert "name what to encode" in failure(capsys, "encode", artifact, "-o", f"{tmp_path}/out/")
    assert "are for --ray" in failure(capsys, "encode", artifact, data, "-o", f"{tmp_path}/out/", "--num-actors", "2")
    assert "whole number" in wrong_use(capsys, "encode", artifact, data, "-o", f"{tmp_path}/out/", "--shard-rows", "0")
    assert not (tmp_path / "out").exists()
