"""Runs: within a budget, cut short, and going on."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu import __main__ as command
from benchmarks.gpu import environment, preparation, questions


@pytest.fixture
def run(prepared: Path, tmp_path: Path) -> Any:
    """Runs questions; returns the file's content."""

    def call(*words: str) -> dict[str, Any]:
        out = tmp_path / "out"
        fixed = ["--device", "cpu", "--trial", "--models", "minilm", "--prepared", str(prepared), "--out", str(out)]
        command.main([*fixed, *words])
        return json.loads((out / "gpu-contest-minilm.json").read_text(encoding="utf-8"))

    return call


def test_a_run_answers_and_goes_on(
    run: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []
    real = dict(questions.ASK)

    def noting(name: str) -> Any:
        def ask(field: Any) -> Any:
            asked.append(name)
            if name == "one" and asked.count("one") == 1:
                raise RuntimeError("not yet\nbut later")
            return real[name](field)

        return ask

    monkeypatch.setattr(questions, "ASK", {name: noting(name) for name in real})
    # By estimate, memory takes 65 s.
    first = run("--only", "ids", "one", "memory", "--budget", "60")
    assert asked == ["ids", "one"]
    assert first["answers"].keys() == {"ids"}
    assert first["failed"] == {"one": "RuntimeError: not yet"}
    assert first["not_run"].keys() == {"memory"}
    assert first["not_run"]["memory"].startswith("takes about 65 s, and ")
    second = run("--only", "ids", "one", "memory", "--resume")
    assert asked == ["ids", "one", "one", "memory"]
    assert second["answers"].keys() == {"ids", "one", "memory"}
    assert second["answers"]["ids"] == first["answers"]["ids"]
    assert second["failed"] == second["not_run"] == {}
    assert "| MiniLM: growth of the GPU's memory | 0 MB in 4 batches |" in capsys.readouterr().out


def test_what_is_cut_short_leaves_its_answers(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(_: object) -> dict[str, Any]:
        try:
            time.sleep(600)
        except Exception:  # as careless handlers do
            return {}
        return {}

    slow = {**questions.ASK, "checks": lambda _: {"met": True}, "ids": endless}
    monkeypatch.setattr(questions, "ASK", slow)
    monkeypatch.setattr(
        command, "known_seconds", lambda _: {"minilm checks": 0.1, "minilm ids": 0.1, "minilm one": 0.1}
    )
    content = run("--only", "checks", "ids", "one", "--budget", "8")
    assert content["answers"].keys() == {"checks"}
    assert content["not_run"] == dict.fromkeys(("ids", "one"), "the budget was spent before")


def test_a_run_that_is_ended_says_what_it_did_not_ask(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(_: object) -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(600)
        return {}

    monkeypatch.setattr(questions, "ASK", {**questions.ASK, "checks": lambda _: {"met": True}, "ids": ended})
    handler = signal.getsignal(signal.SIGTERM)
    content = run("--only", "checks", "ids", "one")
    assert content["answers"].keys() == {"checks"}
    assert content["not_run"] == dict.fromkeys(("ids", "one"), "the run was ended before")
    assert signal.getsignal(signal.SIGTERM) == handler


def test_what_is_missing_is_said_at_once(prepared: Path, tmp_path: Path) -> None:
    assert environment.missing("cpu") == []
    assert any(each.startswith("a GPU") for each in environment.missing("cuda:63"))
    assert preparation.lacking(tmp_path, ["minilm"], "cuda:0")[0].startswith(f"{tmp_path}: nothing is prepared there")
    (line,) = preparation.lacking(prepared, ["minilm"], "cuda:0")
    assert "was prepared for cpu, and this is cuda" in line
    (line,) = preparation.lacking(prepared, ["minilm", "bert-base"], "cpu")
    assert line.endswith("has no bert-base; prepare it again with all models")
    with pytest.raises(SystemExit, match="nothing is prepared there"):
        command.main(["--device", "cpu", "--trial", "--prepared", str(tmp_path)])


def test_words_that_make_no_sense(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="--only speed: no such question"):
        command.main(["--only", "speed", "--plan"])
    with pytest.raises(SystemExit):
        command.parse(["--device", "cpu"])
    assert "goes with --trial" in capsys.readouterr().err
    # A trial's figures never lie where measured ones are published from.
    assert command.parse(["--trial"]).out != command.parse([]).out


def test_the_plan_needs_neither_gpu_nor_preparation(capsys: pytest.CaptureFixture[str]) -> None:
    command.main(["--plan", "--budget", "100"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["minilm", "texts"]
    assert any("not asked" in line for line in lines)
