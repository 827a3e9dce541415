"""`encode` into a folder: its report, and what it refuses and tells."""

from pathlib import Path

import numpy as np
import pytest

from simcse_engine import Encoder
from support.commands import answer, failure, run, wrong_use
from support.shards import NAMES, TEXTS, check, shards, stated, write_inputs

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Files of every kind."""
    return write_inputs(tmp_path / "data")


@pytest.fixture(scope="session")
def expected(artifact: Path) -> np.ndarray:
    """The vectors of each file's texts."""
    with Encoder(artifact) as encoder:
        return encoder.encode(TEXTS)


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


def test_on_several_devices(
    artifact: Path, data: Path, expected: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--devices", "cpu,cpu", "--threads", "2")
    assert run("encode", artifact, data, "-o", f"{tmp_path / 'vectors'}/", *options) == 0
    check(tmp_path / "vectors", expected)
    assert run("encode", artifact, data, "-o", f"{tmp_path / 'others'}/", *options, "--ray") != 0
    assert "--devices is for this machine; Ray gives each worker a GPU of its own" in capsys.readouterr().err


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
