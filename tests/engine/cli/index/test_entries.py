"""The commands `index get`, `list` and `update`: lines of JSON out, metadata in."""

import gzip
import io
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from simcse_engine import Index
from support.commands import TEXTS, answer, failure, run, wrong_use


@pytest.fixture
def tagged(index: Path) -> Path:
    """`index`, of which three have metadata."""
    with Index.open(index) as opened:
        opened.update([0, 1, 3], [{"n": 0, "tags": ["a"]}, {"n": 1, "ä": "\x1b\x7f"}, {"n": 3}])
    return index


def documents(capsys: pytest.CaptureFixture[str], *args: str | Path) -> list[Any]:
    """What the lines on stdout are of a command that succeeds."""
    capsys.readouterr()
    assert run(*args) == 0
    captured = capsys.readouterr()
    assert (captured.err, captured.out.isascii()) == ("", True)
    assert not set(captured.out) & {"\x1b", "\x7f"}
    return [json.loads(line) for line in captured.out.splitlines()]


def test_get(tagged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = {"key": 1, "text": TEXTS[1], "metadata": {"n": 1, "ä": "\x1b\x7f"}}
    second = {"key": 2, "text": "", "metadata": None}
    assert documents(capsys, "index", "get", tagged, "1", "9", "2") == [first, None, second]
    assert answer(capsys, "index", "get", tagged, "1", "9") == {"index": str(tagged), "entries": [first, None]}
    with Index.open(tagged) as opened:
        (found,) = documents(capsys, "index", "get", tagged, "1", "--vectors")
        np.testing.assert_array_equal(np.array(found.pop("vector"), np.float32), opened.vectors([1])[0])
        assert found == {**first, "identity": opened.about.identity}
    assert "the key is 'x'; expected a whole number" in failure(capsys, "index", "get", tagged, "x")
    assert "KEY" in wrong_use(capsys, "index", "get", tagged)


def test_list(tagged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [found["key"] for found in documents(capsys, "index", "list", tagged)] == [2, 0, 1, 3]
    for where, keys in (
        ('{"n": {"$nin": [0, 3]}}', [2, 1]),
        ('{"n": {"$exists": true}}', [0, 1, 3]),
        ('{"tags": {"$contains": "a"}}', [0]),
        ('{"n": 7}', []),
    ):
        assert [found["key"] for found in documents(capsys, "index", "list", tagged, "--where", where)] == keys
    found = answer(capsys, "index", "list", tagged, "--limit", "2", "--where", '{"n": {"$gte": 0}}')
    assert [entry["key"] for entry in found["entries"]] == [0, 1]
    assert "whole number from 1 on" in wrong_use(capsys, "index", "list", tagged, "--limit", "0")
    assert "'$near'" in failure(capsys, "index", "list", tagged, "--where", '{"n": {"$near": 1}}')


def test_what_is_listed_with_vectors_is_added_elsewhere(
    tagged: Path, artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = documents(capsys, "index", "list", tagged, "--vectors", "--where", '{"n": {"$exists": true}}')
    (tmp_path / "part.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert run("index", "create", tmp_path / "part", artifact, tmp_path / "part.jsonl") == 0
    with Index.open(tagged) as whole, Index.open(tmp_path / "part") as part:
        assert list(part) == whole.get([0, 1, 3])
        np.testing.assert_array_equal(part.vectors([0, 1, 3]), whole.vectors([0, 1, 3]))


def test_update(tagged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    update = ("index", "update", tagged)
    report = answer(capsys, *update, "0", "2", "--metadata", '{"n": 0, "new": [null]}', "--merge")
    assert report == {"index": str(tagged), "updated": 2}
    assert run(*update, "1", "--metadata", "null") == 0
    assert capsys.readouterr().err == f"{tagged}: 1 entries have other metadata\n"
    with Index.open(tagged) as opened:
        assert [entry.metadata for entry in opened.get(range(4)) if entry] == [
            {"n": 0, "tags": ["a"], "new": [None]},
            None,
            {"n": 0, "new": [None]},
            {"n": 3},
        ]
        assert [entry.text for entry in opened.get(range(4)) if entry] == TEXTS
    assert "key 2 is 9, under which there is no entry" in failure(capsys, *update, "0", "9", "--metadata", "{}")
    assert "key 2 is key 1 again" in failure(capsys, *update, "0", "0", "--metadata", "{}")
    assert "neither a JSON object nor null" in wrong_use(capsys, *update, "0", "--metadata", "[]")
    assert "is not JSON" in wrong_use(capsys, *update, "0", "--metadata", "{")
    assert "--metadata --file is required" in wrong_use(capsys, *update, "0")
    assert "not allowed with" in wrong_use(capsys, *update, "--metadata", "null", "--file", "-")
    assert "--metadata is for keys; name them" in failure(capsys, *update, "--metadata", "{}")
    assert "--file has the keys" in failure(capsys, *update, "0", "--file", "-")


@pytest.mark.parametrize("name", ["new.jsonl", "new.jsonl.gz", "-"])
def test_update_from_a_file(
    tagged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    content = b'{"key": 3, "metadata": {"m": "\xc3\xa4"}}\n{"metadata": null, "key": 0}\n'
    if name == "-":
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    else:
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    file = name if name == "-" else tmp_path / name
    assert answer(capsys, "index", "update", tagged, "--file", file)["updated"] == 2
    with Index.open(tagged) as opened:
        assert [entry.metadata for entry in opened.get([3, 0]) if entry] == [{"m": "ä"}, None]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"key": 0}', 'line 2: expected an object with "key" and "metadata" alone'),
        ('{"key": 0, "metadata": {}, "text": "new"}', 'line 2: expected an object with "key" and "metadata" alone'),
        ("3", "line 2: expected an object"),
        ('{"key": "a", "metadata": {}}', "line 2: the key is 'a'; expected a whole number"),
        ('{"key": 0, "metadata": 3}', "line 2: the metadata is 3; expected an object or null"),
        ('{"key": 8, "metadata": {}}', "key 2 is 8, under which there is no entry"),
        ("{", "line 2: not JSON"),
    ],
)
def test_a_wrong_update_changes_nothing(
    tagged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, message: str
) -> None:
    (tmp_path / "bad.jsonl").write_text(f'{{"key": 3, "metadata": null}}\n{line}\n')
    assert message in failure(capsys, "index", "update", tagged, "--file", tmp_path / "bad.jsonl")
    with Index.open(tagged) as opened:
        assert opened.get([3])[0].metadata == {"n": 3}  # type: ignore[union-attr]


def test_keys_that_are_strings_or_uuids_are_got_and_updated(
    artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind, keys in (("str", ["0017", "\x1b\x7f"]), ("uuid", [str(UUID(int=7)), str(UUID(int=5))])):
        folder = tmp_path / kind
        with Index.create(folder, artifact, keys=kind) as opened:
            opened.add(["one", "two"], keys=keys)
        assert [found["key"] for found in documents(capsys, "index", "get", folder, *keys)] == keys
        assert answer(capsys, "index", "update", folder, keys[1], "--metadata", '{"a": 1}')["updated"] == 1
        assert [found["key"] for found in documents(capsys, "index", "list", folder, "--where", '{"a": 1}')] == keys[1:]
