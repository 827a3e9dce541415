"""Which questions are asked, and with which options."""

import inspect
from typing import Any

import pytest
from benchmarks.serve.peers import PEERS

from benchmarks.serve import __main__ as serve


def asked(*words: str) -> dict[str, dict[str, Any]]:
    return {each.key: dict(each.options) for each in serve.chosen(serve.parse(list(words)))}


def test_what_takes_ten_minutes_is_asked_by_name() -> None:
    usual = asked()
    assert {"short", "offered", "mixed seconds=30 precision=fp32"} <= usual.keys()
    assert "mixed" not in usual
    assert asked("--only", "mixed").keys() == {"mixed", "mixed seconds=30 precision=fp32"}
    assert serve.parse([]).peers == list(PEERS)
    assert serve.parse(["--peers"]).peers == []


def test_an_option_of_a_question() -> None:
    assert asked("--only", "offered", "--set", "seconds=4", "shares=[0.5,1]") == {
        "offered seconds=4 shares=[0.5, 1]": {"seconds": 4, "shares": [0.5, 1]}
    }
    assert asked("--only", "drain", "--trial", "--set", "times=2")["drain times=2 before=0.5"]["times"] == 2
    with pytest.raises(SystemExit, match="--set seconds: drain has no such option"):
        asked("--only", "drain", "--set", "seconds=4")
    with pytest.raises(SystemExit):
        asked("--set", "seconds=4")


def test_every_question_has_its_options() -> None:
    for question in serve.QUESTIONS:
        assert question.module().QUESTION
        options = inspect.signature(question.module().measure).parameters
        assert {*question.options, *question.trial} <= {*options}


def test_results_are_written_as_soon_as_there_are_any(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    written = []
    monkeypatch.setattr(serve, "ANSWERED", tmp_path / "answered.json")
    monkeypatch.setattr(serve, "write_result", lambda name, _, figures: written.append((name, figures)))
    monkeypatch.setattr("benchmarks.serve.drain.measure", lambda _: {"times": 1})
    monkeypatch.setattr("benchmarks.serve.mixed.measure", lambda _, precision: {"precision": precision})
    monkeypatch.setattr("benchmarks.serve.alone.measure", lambda _: 1 / 0)
    names = ("drain", "alone", "mixed")
    questions = [serve.Question(name=name, minutes=1) for name in names[:2]]
    questions.append(serve.Question(name="mixed", minutes=1, options={"precision": "fp32"}))
    monkeypatch.setattr(serve, "Stage", lambda _: type("Stage", (), {"facts": lambda _: {}})())
    assert serve.ask_all(questions, [], trial=False) == ["alone"]
    assert [name for name, _ in written] == ["serve-drain", "serve-mixed-fp32"]
    # The one that failed is asked again, and no other.
    written.clear()
    monkeypatch.setattr("benchmarks.serve.alone.measure", lambda _: {})
    assert serve.ask_all(questions, [], trial=False) == []
    assert [name for name, _ in written] == ["serve-alone"]


def test_a_peer_that_fails_leaves_and_ours_does_not() -> None:
    stage = serve.Stage(["fastapi"])
    stage.__dict__["services"] = {"ours-int8": None, "fastapi": None}
    stage.leave("fastapi", RuntimeError("broken"))
    assert (list(stage.services), stage.absent) == (["ours-int8"], {"fastapi": "RuntimeError: broken"})
    with pytest.raises(RuntimeError, match="ours"):
        stage.leave("ours-int8", RuntimeError("ours"))
