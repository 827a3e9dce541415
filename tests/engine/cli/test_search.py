"""The command `search` as its users meet it."""

import io
from pathlib import Path

import pytest

from support.commands import TEXTS, answer, failure, run, wrong_use


def test_search(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = answer(capsys, "search", index, TEXTS[1], "-k", "2", "--exact")
    (result,) = report["results"]
    assert result["query"] == TEXTS[1]
    assert result["hits"][0] == {"key": 1, "score": 1.0, "text": TEXTS[1], "metadata": None}
    assert len(result["hits"]) == 2
    assert run("search", index, TEXTS[1], "-k", "1") == 0
    assert capsys.readouterr().out == f"   1   1.0000  [1]  {TEXTS[1]}\n"
    assert run("search", index, "a", "--threshold", "1") == 0
    assert capsys.readouterr().out == "   nothing found\n"


def test_search_what_metadata_say(index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "more.jsonl"
    file.write_text('{"text": "a\\u001b[31m b\\n c", "metadata": {"year": 2021}}\n')
    assert run("index", "add", index, file) == 0
    capsys.readouterr()
    assert run("search", index, "a", "--where", '{"year": {"$gte": 2020}}') == 0
    printed = capsys.readouterr().out
    # One line, and nothing in it that a terminal obeys.
    assert printed.endswith('  [4]  a\\x1b[31m b c  {"year": 2021}\n')
    assert "not JSON" in wrong_use(capsys, "search", index, "a", "--where", "{")
    assert "no JSON object" in wrong_use(capsys, "search", index, "a", "--where", "3")
    for where, says in (
        ('{"year": {}}', 'give an operator, as in {"$gte": 2020}'),
        ('{"year": {"$gt": true}}', "$gt is given true or false; expected a number or a string"),
        ('{"year": {"$in": [{}]}}', "$in is given an object; expected a string, number, true, false or null"),
        ('{"$not": 3}', "a filter is a number; expected an object of fields"),
    ):
        assert says in failure(capsys, "search", index, "a", "--where", where)
    assert "-1 to 1" in wrong_use(capsys, "search", index, "a", "--threshold", "2")
    assert "from 1 on" in wrong_use(capsys, "search", index, "a", "-k", "0")
    assert "$near" in failure(capsys, "search", index, "a", "--where", '{"year": {"$near": 3}}')


def test_search_by_words(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "simcse-engine index keywords makes one" in failure(capsys, "search", index, "a", "--mode", "hybrid")
    assert answer(capsys, "index", "keywords", index) == {"index": str(index), "entries": len(TEXTS)}
    for mode in ("keywords", "hybrid"):
        (result,) = answer(capsys, "search", index, TEXTS[1], "-k", "1", "--mode", mode)["results"]
        assert [hit["key"] for hit in result["hits"]] == [1]
    says = failure(capsys, "search", index, "a", "--mode", "hybrid", "--threshold", "0.5")
    assert "--threshold 0.5 is of cosines, by which --mode hybrid does not rank" in says


def test_search_many(
    index: Path, lines: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    results = answer(capsys, "search", index, "--file", lines, "-k", "1")["results"]
    assert [(result["query"], result["hits"][0]["key"]) for result in results] == list(
        zip(TEXTS, range(4), strict=True)
    )
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"the cat is on the mat\n")))
    assert run("search", index, "-k", "1") == 0
    assert capsys.readouterr().out == f"> {TEXTS[1]}\n   1   1.0000  [1]  {TEXTS[1]}\n"
    assert "not allowed with" in wrong_use(capsys, "search", index, "a", "--file", lines)


def test_prompt(index: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    queries = iter([TEXTS[1], " ", "\ud800", TEXTS[0]])

    def ask(_: str) -> str:
        try:
            return next(queries)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("simcse_engine.cli.search._at_terminal", lambda: True)
    monkeypatch.setattr("builtins.input", ask)
    assert run("search", index, "-k", "1") == 0
    captured = capsys.readouterr()
    assert captured.out == f"   1   1.0000  [1]  {TEXTS[1]}\n   1   1.0000  [0]  {TEXTS[0]}\n\n"
    assert "error: " in captured.err
    assert "surrogate" in captured.err


def test_ranks_stand_out_on_a_terminal(
    index: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert run("search", index, TEXTS[1], "-k", "1") == 0
    assert capsys.readouterr().out == f"\x1b[1m   1   1.0000\x1b[0m  [1]  {TEXTS[1]}\n"
    monkeypatch.setenv("NO_COLOR", "1")
    assert run("search", index, TEXTS[1], "-k", "1") == 0
    assert capsys.readouterr().out == f"   1   1.0000  [1]  {TEXTS[1]}\n"


def test_an_artifact_that_has_moved(
    artifact_copy: Path, lines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = tmp_path / "index"
    assert run("index", "create", index, artifact_copy, lines) == 0
    moved = artifact_copy.rename(tmp_path / "moved")
    assert "not where it was" in failure(capsys, "search", index, "a")
    assert run("search", index, "a", "--artifact", moved) == 0
    assert run("index", "add", index, lines, "--artifact", moved) == 0
