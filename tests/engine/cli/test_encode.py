"""The command encode as its users meet it: files, what stands on stdout and what on stderr."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any, get_args

import numpy as np
import pytest

from simcse_engine import Encoder, Manifest, replica
from simcse_engine.forms import DType
from simcse_engine.session.opening import open_session
from simcse_engine.session.session import Session
from support.commands import failure, run, start, wrong_use

TEXTS = ["A man plays a guitar.", "", "Größe 一个男人", "the cat is on the mat", "a\x0bb\u2028c"]
LONG = "the cat " * 50  # the artifact's limit is 32 tokens


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    return write(tmp_path / "texts.txt", TEXTS)


@pytest.fixture(scope="session")
def expected(artifact: Path) -> np.ndarray:
    with Encoder(artifact) as encoder:
        return encoder.encode(TEXTS)


def write(path: Path, texts: list[str]) -> Path:
    path.write_bytes("".join(text + "\n" for text in texts).encode())
    return path


def test_encode_packs_the_weights_once(
    artifact: Path, lines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    def watched(folder: Path, manifest: Manifest, device: str, *, threads: int, **others: Any) -> Session:
        opened.append(threads)
        return open_session(folder, manifest, device, threads=threads, **others)

    monkeypatch.setattr(replica, "open_session", watched)
    assert run("encode", artifact, lines, "-o", tmp_path / "vectors.npy", "--threads", "2") == 0
    assert opened == [1]
    assert run("similarity", artifact, "a man", "a cat", "--threads", "2") == 0
    assert opened == [1, 2]


def test_encode_on_several_devices(
    artifact: Path, lines: Path, expected: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--devices", "cpu, cpu", "--threads", "2")
    assert run("encode", artifact, lines, "-o", tmp_path / "vectors.npy", *options) == 0
    np.testing.assert_allclose(np.load(tmp_path / "vectors.npy"), expected, atol=1e-6)
    capsys.readouterr()
    assert run("encode", artifact, lines, "-o", tmp_path / "vectors.npy", "--devices", "cpu,cuda:1") == 1
    assert "asked for cuda:1, and this artifact's graph is for cpu" in capsys.readouterr().err
    message = wrong_use(capsys, "encode", artifact, "-o", "v.npy", "--devices", "all", "--device", "cpu")
    assert "not allowed with" in message


def test_encode_to_npy(
    artifact: Path, lines: Path, expected: np.ndarray, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    output = tmp_path / "vectors.npy"
    assert run("encode", artifact, lines, "-o", output) == 0
    vectors = np.load(output)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected, atol=1e-6)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"{output}: {len(TEXTS)} rows of {expected.shape[1]} floats\n"


def test_encode_to_jsonl(artifact: Path, lines: Path, expected: np.ndarray, tmp_path: Path) -> None:
    assert run("encode", artifact, lines, "-o", tmp_path / "vectors.jsonl") == 0
    rows = [json.loads(line) for line in (tmp_path / "vectors.jsonl").read_bytes().splitlines()]
    assert [row["text"] for row in rows] == TEXTS
    np.testing.assert_allclose([row["vector"] for row in rows], expected, atol=1e-6)


def test_encode_to_parquet_and_from_it(artifact: Path, lines: Path, expected: np.ndarray, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    assert run("encode", artifact, lines, "-o", tmp_path / "one.parquet") == 0
    # What one run wrote is input for the next: its column "text" is where texts are looked for.
    assert run("encode", artifact, tmp_path / "one.parquet", "-o", tmp_path / "two.parquet") == 0
    table = parquet.read_table(tmp_path / "two.parquet")
    assert table.column("text").to_pylist() == TEXTS
    np.testing.assert_allclose(table.column("vector").to_pylist(), expected, atol=1e-6)


@pytest.mark.parametrize("dtype", get_args(DType))
def test_encode_in_each_form(
    artifact: Path, lines: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, dtype: DType
) -> None:
    options = ("--dimensions", "12", "--dtype", dtype, "--prompt", "a man: ")
    assert run("encode", artifact, lines, "-o", tmp_path / "vectors.npy", *options) == 0
    with Encoder(artifact) as encoder:
        made = encoder.encode(TEXTS, dimensions=12, dtype=dtype, prompt="a man: ")
    vectors = np.load(tmp_path / "vectors.npy")
    assert vectors.dtype == made.dtype
    np.testing.assert_allclose(vectors.astype(float), made.astype(float), atol=1 if dtype.endswith("int8") else 1e-3)
    said = {"float32": "12 floats", "binary": "12 bits", "ubinary": "12 bits"}.get(dtype, f"12 {dtype}")
    assert f"{len(TEXTS)} rows of {said}\n" in capsys.readouterr().err
    capsys.readouterr()
    assert run("encode", artifact, lines, "-o", tmp_path / "vectors.jsonl", *options, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["dimension"], report["dtype"]) == (12, dtype)


def test_choices_of_dtype(artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = wrong_use(capsys, "encode", artifact, "-o", tmp_path / "v.npy", "--dtype", "int4")
    assert f"choose from {', '.join(get_args(DType))}" in message


@pytest.mark.parametrize("options", [("--dimensions", "33"), ("--prompt-name", "queries")])
def test_what_the_artifact_does_not_have(
    artifact: Path, lines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, str]
) -> None:
    message = failure(capsys, "encode", artifact, lines, "-o", tmp_path / "v.npy", *options)
    assert f"{' '.join(options)}: " in message
    assert not (tmp_path / "v.npy").exists()


@pytest.mark.parametrize("name", [[], ["-"]])
def test_encode_from_stdin(
    artifact: Path, expected: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: list[str]
) -> None:
    content = "".join(text + "\r\n" for text in TEXTS).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert run("encode", artifact, *name, "-o", tmp_path / "vectors.npy") == 0
    np.testing.assert_allclose(np.load(tmp_path / "vectors.npy"), expected, atol=1e-6)


def test_encode_from_jsonl(artifact: Path, expected: np.ndarray, tmp_path: Path) -> None:
    source = write(tmp_path / "texts.jsonl", [json.dumps({"text": text}) for text in TEXTS])
    assert run("encode", artifact, source, "-o", tmp_path / "vectors.npy") == 0
    np.testing.assert_allclose(np.load(tmp_path / "vectors.npy"), expected, atol=1e-6)


def test_encode_keeps_rows_and_texts_together_over_many_windows(artifact: Path, tmp_path: Path) -> None:
    texts = [f"{'the ' * (i % 7)}cat {i}" for i in range(20_000)]
    assert run("encode", artifact, write(tmp_path / "in.txt", texts), "-o", tmp_path / "vectors.jsonl") == 0
    rows = [json.loads(line) for line in (tmp_path / "vectors.jsonl").read_bytes().splitlines()]
    assert [row["text"] for row in rows] == texts
    chosen = range(0, 20_000, 997)
    with Encoder(artifact) as encoder:
        alone = encoder.encode([texts[i] for i in chosen])
    np.testing.assert_allclose([rows[i]["vector"] for i in chosen], alone, atol=1e-6)


def test_encode_nothing(artifact: Path, expected: np.ndarray, tmp_path: Path) -> None:
    assert run("encode", artifact, write(tmp_path / "empty.txt", []), "-o", tmp_path / "vectors.npy") == 0
    assert np.load(tmp_path / "vectors.npy").shape == (0, expected.shape[1])


def test_encode_json(artifact: Path, lines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("encode", artifact, lines, "-o", tmp_path / "vectors.npy", "--json") == 0
    manifest = Manifest.read(artifact)
    assert json.loads(capsys.readouterr().out) == {
        "output": str(tmp_path / "vectors.npy"),
        "rows": len(TEXTS),
        "dimension": manifest.dimension,
        "dtype": "float32",
        "identity": manifest.identity,
        "truncated": 0,
    }


def test_cut_texts_are_counted_in_one_line(artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write(tmp_path / "texts.txt", [LONG, "short", LONG])
    assert run("encode", artifact, source, "-o", tmp_path / "vectors.npy", "--json") == 0
    captured = capsys.readouterr()
    message = "2 of 3 texts were longer than the limit of 32 tokens and were cut"
    assert captured.err == f"simcse-engine: warning: {message}\n"
    assert json.loads(captured.out)["truncated"] == 2


def test_cut_texts_can_be_silent(artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write(tmp_path / "texts.txt", [LONG])
    assert run("encode", artifact, source, "-o", tmp_path / "vectors.npy", "--json", "--truncate", "silent") == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert json.loads(captured.out)["truncated"] == 1


def test_cut_texts_can_be_an_error(artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write(tmp_path / "texts.txt", ["short", LONG])
    message = failure(capsys, "encode", artifact, source, "-o", tmp_path / "vectors.npy", "--truncate", "error")
    assert message.endswith(
        "error: text 2 has more than the limit of 32 tokens; shorten it, or cut it with --truncate warn or silent\n"
    )
    assert not (tmp_path / "vectors.npy").exists()


def test_max_tokens_lowers_the_limit(
    artifact: Path, lines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("encode", artifact, lines, "-o", tmp_path / "vectors.npy", "--max-tokens", "4") == 0
    assert "longer than the limit of 4 " in capsys.readouterr().err
    message = failure(capsys, "encode", artifact, lines, "-o", tmp_path / "vectors.npy", "--max-tokens", "33")
    assert "--max-tokens 33: the artifact's limit is 32, and it can only be lowered" in message


@pytest.mark.parametrize("threads", ["1", "3"])
def test_threads(artifact: Path, lines: Path, expected: np.ndarray, tmp_path: Path, threads: str) -> None:
    assert run("encode", artifact, lines, "-o", tmp_path / "vectors.npy", "--threads", threads) == 0
    np.testing.assert_allclose(np.load(tmp_path / "vectors.npy"), expected, atol=1e-6)


def test_invalid_utf8_is_refused_with_its_line(
    artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "texts.txt").write_bytes(b"fine\ncaf\xe9\n")
    (tmp_path / "vectors.npy").write_bytes(b"the old file")
    message = failure(capsys, "encode", artifact, tmp_path / "texts.txt", "-o", tmp_path / "vectors.npy")
    assert "texts.txt, line 2: not UTF-8" in message
    assert (tmp_path / "vectors.npy").read_bytes() == b"the old file"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["texts.txt", "vectors.npy"]


def test_missing_input(artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = failure(capsys, "encode", artifact, tmp_path / "none.txt", "-o", tmp_path / "vectors.npy")
    assert "none.txt: no such file" in message


def test_missing_folder_for_the_output(
    artifact: Path, lines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failure(capsys, "encode", artifact, lines, "-o", tmp_path / "none" / "vectors.npy")


def test_unknown_suffix(artifact: Path, lines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = wrong_use(capsys, "encode", artifact, lines, "-o", tmp_path / "vectors.csv")
    assert ".npy, .jsonl, .parquet or .arrow" in message
    assert not (tmp_path / "vectors.csv").exists()


@pytest.mark.parametrize(("number", "existed"), [(signal.SIGINT, True), (signal.SIGTERM, False), (signal.SIGHUP, True)])
def test_a_signal_leaves_nothing(artifact: Path, tmp_path: Path, number: signal.Signals, existed: bool) -> None:
    output = tmp_path / "vectors.npy"
    if existed:
        output.write_bytes(b"the old file")
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
    with start("encode", artifact, "-", "-o", output, **pipes) as process:
        # More than two windows, so that rows have been written, and no end: the encoder waits for more.
        process.stdin.write(b"the cat is on the mat\n" * 20_000)
        process.stdin.flush()
        for _ in range(1200):
            if any(path.stat().st_size > 1000 for path in tmp_path.glob(".vectors.npy.partial-*")):
                break
            assert process.poll() is None
            time.sleep(0.05)
        else:
            pytest.fail("no rows were written")
        # More of them do not cut off the cleaning up; the very last may meet an interpreter that has done all.
        latest = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < latest:
            process.send_signal(number)
        assert process.wait(60) in (128 + number, -number)
        assert process.stderr.read() == f"simcse-engine: interrupted; {output} was not written\n".encode()
    assert [path.name for path in tmp_path.iterdir()] == ([output.name] if existed else [])
    assert not existed or output.read_bytes() == b"the old file"


def test_encode_to_a_pipe(artifact: Path, lines: Path, expected: np.ndarray, tmp_path: Path) -> None:
    with start("encode", artifact, lines, "-o", "-", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        output, report = process.communicate(timeout=60)
        assert process.returncode == 0
    assert report == f"stdout: {len(TEXTS)} rows of {expected.shape[1]} floats\n".encode()
    # What a file would hold.
    assert run("encode", artifact, lines, "-o", tmp_path / "vectors.jsonl") == 0
    assert output == (tmp_path / "vectors.jsonl").read_bytes()
    np.testing.assert_allclose([json.loads(line)["vector"] for line in output.splitlines()], expected, atol=1e-6)


def feed(pipe: IO[bytes], lines: bytes) -> None:
    """Write all of it, or what the reader of the pipe takes until it ends."""
    with contextlib.suppress(BrokenPipeError):
        pipe.write(lines)
        pipe.flush()


def test_a_pipe_gets_each_block_at_once(artifact: Path) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with start("encode", artifact, "-o", "-", **pipes) as process:
        # At least three windows, and no end: the first is encoded, and waits for nobody. They are more than a pipe
        # holds, so they are written while vectors may come already.
        writer = threading.Thread(target=feed, args=(process.stdin, b"the cat is on the mat\n" * 6144))
        writer.start()
        assert json.loads(process.stdout.readline())["text"] == "the cat is on the mat"
        # Its reader has seen enough.
        process.stdout.close()
        writer.join(60)
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        assert process.wait(60) == 1
        assert process.stderr.read() == b""


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_leaves_amid_a_block(artifact: Path, tmp_path: Path, unbuffered: str) -> None:
    (tmp_path / "texts.txt").write_text("the cat is on the mat\n" * 1000)  # more than a pipe holds
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    settings = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    with start("encode", artifact, tmp_path / "texts.txt", "-o", "-", env=settings, **pipes) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(60) == 1
        assert process.stderr.read() == b""


def test_a_pipe_takes_no_report(artifact: Path, lines: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "leave one of them out" in failure(capsys, "encode", artifact, lines, "-o", "-", "--json")
