"""The commands `index …` as their users meet them."""

import contextlib
import gzip
import io
import json
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from simcse_engine import Encoder, Index
from simcse_engine.index.limits import SearchLimits
from support.commands import TEXTS, answer, failure, run, start, wrong_use


def entries(index: Path) -> dict[int, str]:
    with Index.open(index, read_only=True) as opened:
        return {key: entry.text for key in range(100) if (entry := opened.get([key])[0]) is not None}


def test_create(artifact: Path, lines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = answer(capsys, "index", "create", tmp_path / "empty", artifact, "--dtype", "i8")
    assert report["entries"] == 0
    with Index.open(tmp_path / "empty") as opened:
        assert (opened.about.dtype, opened.about.identity) == ("i8", report["identity"])
    filled = answer(capsys, "index", "create", tmp_path / "full", artifact, lines)
    assert filled == {"index": str(tmp_path / "full"), "added": 4, "entries": 4, "truncated": 0}
    assert entries(tmp_path / "full") == dict(enumerate(TEXTS))
    assert "is an index already" in failure(capsys, "index", "create", tmp_path / "full", artifact)
    other = tmp_path / "other texts.txt"
    other.write_text("another\n")
    message = failure(capsys, "index", "create", tmp_path / "full", artifact, other)
    adds, goes_on = [line.strip().partition(" ")[2] for line in message.splitlines() if line.startswith("  ")]
    assert goes_on == f"index add {tmp_path / 'full'} '{other}' --first-key 0"
    # The first that is proposed replaces nothing.
    assert run(*shlex.split(adds)) == 0
    assert entries(tmp_path / "full") == dict(enumerate([*TEXTS, "another"]))
    assert "exists" in failure(capsys, "index", "create", tmp_path, artifact)
    # No index is made for a file that does not exist.
    assert "no such file" in failure(capsys, "index", "create", tmp_path / "new", artifact, tmp_path / "none.txt")
    assert not (tmp_path / "new").exists()
    assert "invalid choice" in wrong_use(capsys, "index", "create", tmp_path / "new", artifact, "--dtype", "f64")


def test_add_lines(index: Path, lines: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("index", "add", index, lines) == 0
    assert capsys.readouterr().err.endswith("4 texts added; it has 8\n")
    assert entries(index) == dict(enumerate(TEXTS * 2))
    # With keys of one's own, the same command changes nothing.
    assert answer(capsys, "index", "add", index, lines, "--first-key", "4")["entries"] == 8
    assert answer(capsys, "index", "info", index)["dead"] == 0


def test_add_stdin(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"one\ntwo\n")))
    assert run("index", "add", index, "-") == 0
    assert entries(index) == dict(enumerate([*TEXTS, "one", "two"]))


def test_add_json_lines(index: Path, tmp_path: Path) -> None:
    file = tmp_path / "more.jsonl"
    file.write_text('{"text": "one", "key": 1, "metadata": {"n": 1}}\n{"text": "two", "key": 20}\n')
    assert run("index", "add", index, file) == 0
    assert entries(index) == {0: TEXTS[0], 1: "one", 2: "", 3: TEXTS[3], 20: "two"}
    with Index.open(index, read_only=True) as opened:
        assert [entry.metadata for entry in opened.get([1, 20]) if entry] == [{"n": 1}, None]
    file.write_text('"three"\n{"text": "four", "metadata": {"n": 4}}\n')
    assert run("index", "add", index, file) == 0
    assert {key: text for key, text in entries(index).items() if key > 20} == {21: "three", 22: "four"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1]\n", "line 1: expected a string"),
        ('"a"\n{"text": 3}\n', "line 2: expected a string"),
        ('"a"\n{\n', "line 2: not JSON"),
        ('{"text": "a", "n": 1, "metadata": {"n": 2}}\n', 'line 1: "n" is a field, and in the metadata too'),
        ('{"text": "a", "vector": [1]}\n{"text": "a"}\n', 'line 2: expected an object with "text" and "vector"'),
        ('{"text": "a", "key": "b"}\n', "line 1: the key is 'b'"),
        ('{"text": "a", "metadata": 3}\n', "line 1: the metadata is int"),
        ('{"text": "a", "key": 9}\n"b"\n', "some have a"),
    ],
)
def test_bad_json_lines(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, message: str
) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text(content)
    assert message in failure(capsys, "index", "add", index, file)
    assert entries(index) == dict(enumerate(TEXTS))


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet", ".arrow"])
def test_export_and_add_again(
    index: Path, artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    if suffix != ".jsonl":
        pytest.importorskip("pyarrow")
    file = tmp_path / f"out{suffix}"
    assert answer(capsys, "index", "export", index, file) == {"output": str(file), "entries": 4}
    assert answer(capsys, "index", "create", tmp_path / "other", artifact, file)["added"] == 4
    assert entries(tmp_path / "other") == dict(enumerate(TEXTS))
    assert "--first-key" in failure(capsys, "index", "add", index, file, "--first-key", "3")
    assert "end with" in failure(capsys, "index", "export", index, tmp_path / "out.csv")


def test_add_texts_of_a_parquet_file(index: Path, tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table({"text": ["one", "two"]}), tmp_path / "texts.parquet")
    assert run("index", "add", index, tmp_path / "texts.parquet") == 0
    assert entries(index) == dict(enumerate([*TEXTS, "one", "two"]))


def test_add_a_parquet_file_with_keys_and_metadata(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {"text": ["one", "two"], "key": [7, 9], "metadata": ['{"n": 1}', None]}
    parquet.write_table(arrow.table(columns), tmp_path / "texts.parquet")
    assert run("index", "add", index, tmp_path / "texts.parquet") == 0
    assert entries(index) == {**dict(enumerate(TEXTS)), 7: "one", 9: "two"}
    with Index.open(index, read_only=True) as opened:
        assert [entry.metadata for entry in opened.get([7, 9])] == [{"n": 1}, None]
    for wrong, message in (
        ({"metadata": ["{", None]}, "row 1: the metadata is not JSON"),
        ({"key": ["a", "b"]}, "key"),
    ):
        parquet.write_table(arrow.table({**columns, **wrong}), tmp_path / "wrong.parquet")
        assert message in failure(capsys, "index", "add", index, tmp_path / "wrong.parquet")


TABLE = 'key,text,year,lang\n7,"one, with a ""quote""",2021,en\n9,"two\nlines",2008,\n'


@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz", "table.tsv"])
def test_add_a_table(index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    content = TABLE.replace(",", "\t") if name.endswith(".tsv") else TABLE
    (tmp_path / name).write_bytes(gzip.compress(content.encode()) if name.endswith(".gz") else content.encode())
    assert answer(capsys, "index", "add", index, tmp_path / name)["added"] == 2
    with Index.open(index, read_only=True) as opened:
        first, second = opened.get([7, 9])
        assert first
        assert second
        assert first.text == ('one\t with a "quote"' if name.endswith(".tsv") else 'one, with a "quote"')
        assert second.text == "two\nlines"
        assert [first.metadata, second.metadata] == [{"year": "2021", "lang": "en"}, {"year": "2008", "lang": ""}]
    where = '{"year": "2008"}'
    hits = answer(capsys, "search", index, "two", "--where", where)["results"][0]["hits"]
    assert [hit["key"] for hit in hits] == [9]


def test_the_column_of_the_texts_is_named(index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "table.csv"
    file.write_text("title,body\nA,one\nB,two\n")
    message = failure(capsys, "index", "add", index, file)
    assert 'no column "text"; it has title, body; name that of the texts with --text-column' in message
    assert answer(capsys, "index", "add", index, file, "--text-column", "body", "--first-key", "20")["added"] == 2
    with Index.open(index, read_only=True) as opened:
        assert [(entry.text, entry.metadata) for entry in opened.get([20, 21]) if entry] == [
            ("one", {"title": "A"}),
            ("two", {"title": "B"}),
        ]
    (tmp_path / "plain.txt").write_text("a\n")
    message = failure(capsys, "index", "add", index, tmp_path / "plain.txt", "--text-column", "body")
    assert "plain lines have no columns" in message
    hits = answer(capsys, "search", index, "--file", file, "--text-column", "body", "-k", "1")["results"]
    assert [result["hits"][0]["key"] for result in hits] == [20, 21]


def test_add_vectors(
    index: Path, artifact: Path, lines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Encoder(artifact) as encoder:
        np.save(tmp_path / "vectors.npy", encoder.encode(TEXTS))
    file = tmp_path / "vectors.npy"
    assert "--texts" in failure(capsys, "index", "add", index, file)
    assert "--texts FILE is for .npy" in failure(capsys, "index", "add", index, lines, "--texts", lines)
    assert answer(capsys, "index", "add", index, file, "--texts", lines, "--first-key", "50")["entries"] == 8
    assert sorted(entries(index)) == [0, 1, 2, 3, 50, 51, 52, 53]


def test_add_vectors_with_keys(
    index: Path, artifact: Path, lines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Encoder(artifact) as encoder:
        np.save(tmp_path / "vectors.npy", encoder.encode(TEXTS))
    add = ("index", "add", index, tmp_path / "vectors.npy", "--texts", lines, "--keys")
    keys = tmp_path / "keys.txt"
    keys.write_text("17\n3\n18446744073709551614\n9\n")
    np.save(tmp_path / "keys.npy", np.array([17, 3, 2**64 - 2, 9], np.uint64))
    for file in (keys, tmp_path / "keys.npy"):
        assert run(*add, file) == 0
        with Index.open(index, read_only=True) as opened:
            assert [entry.text for entry in opened.get([17, 3, 2**64 - 2, 9]) if entry] == TEXTS
    for content, message in (("1\nx\n3\n4\n", "line 2: the key is 'x'"), ("1\n1\n2\n3\n", "again"), ("1\n", "keys")):
        keys.write_text(content)
        assert message in failure(capsys, *add, keys)
    np.save(tmp_path / "keys.npy", np.ones((2, 2)))
    assert "whole numbers" in failure(capsys, *add, tmp_path / "keys.npy")
    assert "no such file" in failure(capsys, *add, tmp_path / "none.txt")
    assert "exclude each other" in failure(capsys, *add, keys, "--first-key", "3")
    assert "--keys is for .npy" in failure(capsys, "index", "add", index, lines, "--keys", keys)


def test_create_where_an_index_is(index: Path, artifact: Path, lines: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = entries(index)
    assert "`simcse-engine index add` adds to it" in failure(capsys, "index", "create", index, artifact)
    message = failure(capsys, "index", "create", index, artifact, lines)
    assert message.endswith(f"this goes on:\n  simcse-engine index add {index} {lines} --first-key 0\n")
    assert entries(index) == before


@pytest.mark.parametrize("place", ["new", "deep/new", "empty"])
def test_what_adds_nothing_makes_no_index(
    place: str, artifact_copy: Path, lines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    before = sorted(path.name for path in tmp_path.iterdir())
    index = tmp_path / place
    np.save(tmp_path / "three.npy", np.ones((3, 32), np.float32))
    (tmp_path / "bad.jsonl").write_text('{"text": 3}\n')
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    create = ("index", "create", index, artifact_copy)
    assert "[4, dimension]" in failure(capsys, *create, tmp_path / "three.npy", "--texts", lines)
    assert "line 1" in failure(capsys, *create, tmp_path / "bad.jsonl")
    assert "line 1: not UTF-8" in failure(capsys, *create, tmp_path / "latin.txt")
    (tmp_path / "nothing.txt").touch()
    assert "nothing.txt: holds no texts; no index was made" in failure(capsys, *create, tmp_path / "nothing.txt")
    assert "is a folder" in failure(capsys, *create, tmp_path / "empty")
    for name in ("three.npy", "bad.jsonl", "latin.txt", "nothing.txt"):
        (tmp_path / name).unlink()
    graph = (artifact_copy / "model.onnx").read_bytes()
    (artifact_copy / "model.onnx").write_bytes(bytes(len(graph)))
    assert "altered" in failure(capsys, *create, lines)
    (artifact_copy / "model.onnx").write_bytes(graph)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert not any((tmp_path / "empty").iterdir())
    # The corrected command.
    assert answer(capsys, *create, lines)["entries"] == 4


def test_what_was_added_stays(artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [json.dumps({"text": f"{i}", "key": i, "vector": [1.0] * 32}) for i in range(4100)]
    (tmp_path / "bad.jsonl").write_text("\n".join([*rows, "{}"]) + "\n")
    capsys.readouterr()
    assert run("index", "create", tmp_path / "index", artifact, tmp_path / "bad.jsonl") == 1
    message = capsys.readouterr().err
    assert message.startswith("simcse-engine: failed; 4,096 texts are safe. ")
    with Index.open(tmp_path / "index") as opened:
        assert len(opened) == 4096


def test_search_in_an_empty_index(artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("index", "create", tmp_path / "index", artifact) == 0
    message = failure(capsys, "search", tmp_path / "index", "a cat")
    assert message.endswith("index: is empty, so there is nothing to find; simcse-engine index add fills it\n")


def test_remove_info_compact(index: Path, artifact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, "index", "remove", index, "0", "3", "77") == {
        "index": str(index),
        "removed": 2,
        "entries": 2,
    }
    info = answer(capsys, "index", "info", index)
    assert (info["entries"], info["dead"], info["artifact"]) == (2, 2, str(artifact))
    assert info["keywords"] is False
    assert run("index", "info", index) == 0
    assert "  entries       2\n  removed       2 (index compact" in capsys.readouterr().out
    assert answer(capsys, "index", "compact", index)["entries"] == 2
    assert answer(capsys, "index", "info", index)["dead"] == 0
    assert "the key is 'x'; expected a whole number" in failure(capsys, "index", "remove", index, "x")
    assert "no such" in failure(capsys, "index", "info", index / "none") or True


def test_help_is_quick() -> None:
    program = (
        "import sys; from simcse_engine.cli.main import main\n"
        "try: main(['index', 'add', '--help'])\n"
        "except SystemExit: pass\n"
        "print({'onnxruntime', 'usearch', 'sqlite3'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "set()"


@pytest.mark.parametrize(("exists", "number"), [(False, signal.SIGTERM), (True, signal.SIGINT)], ids=["create", "add"])
def test_interrupted_and_resumed(artifact: Path, tmp_path: Path, exists: bool, number: signal.Signals) -> None:
    index = tmp_path / "index"
    file = tmp_path / "many.txt"
    texts = [f"the cat {i} is on the mat {i * 7 % 1009} and {i % 3}" for i in range(60_000)]
    file.write_text("".join(text + "\n" for text in texts))
    if exists:
        Index.create(index, artifact).close()
        args = ["index", "add", index, file]
    else:
        args = ["index", "create", index, artifact, file]
    child = start(*args, stderr=subprocess.PIPE, text=True)
    while child.poll() is None and count(index) < 2:
        time.sleep(0.02)
    child.send_signal(number)
    _, message = child.communicate()
    assert child.returncode == 128 + number
    assert "Traceback" not in message
    safe = count(index)
    assert 0 < safe < len(texts)
    assert f"interrupted; {safe:,} texts are safe" in message
    command = message.splitlines()[-1].split()
    assert command == ["simcse-engine", "index", "add", str(index), str(file), "--first-key", "0"]
    # A file that ends sooner, so that the test does: with the batch whose texts are safe in the order of their lengths.
    batch = SearchLimits().window_texts
    few = texts[: (safe // batch + 1) * batch + 10]
    file.write_text("".join(text + "\n" for text in few))
    assert run(*command[1:]) == 0
    with Index.open(index, read_only=True) as opened:
        assert len(opened) == len(few)
        assert opened.info().dead == 0
        assert [entry.text for entry in opened.get(range(len(few))) if entry] == few


def count(index: Path) -> int:
    if not (index / "index.db").exists():
        return 0
    with Index.open(index, read_only=True) as opened:
        return len(opened)


def test_info_sends_no_terminal_sequences(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with contextlib.closing(sqlite3.connect(index / "index.db")) as connection:
        connection.execute("UPDATE about SET content = json_set(content, '$.artifact', char(27) || '[2J' || char(10))")
        connection.commit()
    assert run("index", "info", index) == 0
    assert "artifact      \\x1b[2J\n" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["str", "uuid"])
def test_keys_that_are_no_numbers(
    kind: str, artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = {"str": ["-a 😀", "007", "a\u202e\x1bb", "d"], "uuid": [str(UUID(int=1 << 100 | i)) for i in range(4)]}[kind]
    folder, file = tmp_path / "index", tmp_path / "t.jsonl"
    rows = [json.dumps({"key": key, "text": text}) for key, text in zip(keys, TEXTS, strict=True)]
    file.write_text("\n".join(rows))
    create = ("index", "create", folder, artifact, file, "--key-type", kind)
    assert answer(capsys, *create)["added"] == 4
    assert failure(capsys, *create).endswith(f"this adds the file to it:\n  simcse-engine index add {folder} {file}\n")
    assert answer(capsys, "index", "info", folder)["keys"] == kind
    (result,) = answer(capsys, "search", folder, TEXTS[2], "-k", "1")["results"]
    assert [hit["key"] for hit in result["hits"]] == keys[2:3]
    assert run("search", folder, TEXTS[2], "-k", "1") == 0
    shown = capsys.readouterr().out
    # No terminal obeys a key.
    assert "\x1b" not in shown
    assert (keys[2] if kind == "uuid" else r"\x1b") in shown
    assert run("index", "remove", "--json", folder, "--", *keys[:2], keys[0]) == 0
    assert json.loads(capsys.readouterr().out)["removed"] == 2
    assert run("index", "export", folder, tmp_path / "e.jsonl") == 0
    assert [json.loads(line)["key"] for line in (tmp_path / "e.jsonl").read_text().splitlines()] == keys[2:]
    if kind == "uuid":
        assert "the key is 'x'; expected a UUID" in failure(capsys, "index", "remove", folder, "x")
    assert "--first-key is for whole numbers" in failure(capsys, "index", "add", folder, file, "--first-key", "0")


def test_vectors_with_keys_that_are_strings(
    artifact: Path, lines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Encoder(artifact) as encoder:
        np.save(tmp_path / "vectors.npy", encoder.encode(TEXTS))
    (tmp_path / "keys.txt").write_text("0017\n17\n 17 \nä\n")
    from_vectors = (tmp_path / "vectors.npy", "--texts", lines)
    create = ("index", "create", tmp_path / "index", artifact, *from_vectors, "--key-type", "str")
    assert 'none is automatic; give each text a "key"' in failure(capsys, *create)
    assert not (tmp_path / "index").exists()
    assert run(*create, "--keys", tmp_path / "keys.txt") == 0
    with Index.open(tmp_path / "index", read_only=True) as opened:
        assert [entry.text for entry in opened.get(["0017", "17", " 17 ", "ä"]) if entry] == TEXTS


def test_count_and_remove_by_a_filter(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, "index", "count", index)["entries"] == 4
    assert answer(capsys, "index", "count", index, "--where", '{"n": 1}')["entries"] == 0
    assert "--where" in wrong_use(capsys, "index", "remove", index)
    assert "--where" in wrong_use(capsys, "index", "remove", index, "1", "--where", "{}")
    assert answer(capsys, "index", "remove", index, "--where", '{"n": {"$exists": false}}')["removed"] == 4
