"""Which questions are asked, of which peers, and with which options."""

import argparse
import importlib
import inspect
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from benchmarks.contest.lengths import texts_of as texts_of_length
from benchmarks.contest.memory import texts_of
from benchmarks.contest.peers.catalog import PEERS, named

from benchmarks import __main__ as suite
from simcse_engine.artifact.manifest import TOKENIZER
from simcse_engine.tokenizer import Tokenizer


def asked(**options: Any) -> list[str]:
    defaults = {"all": False, "only": None, "trial": False, "set": []}
    return [question.key for question in suite.chosen(argparse.Namespace(**{**defaults, **options}))]


def test_the_suite_asks_what_takes_half_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "usable_cpus", lambda: 2)
    usual = asked()
    assert usual[:3] == ["size", "versus minilm", "latency minilm"]
    assert "quality minilm smallest=True" in usual
    assert not {"memory minilm count=100000", "recall", "threads minilm"} & {*usual}
    assert {*usual, "memory minilm count=100000", "quality minilm", "recall", "limits"} <= {*asked(all=True)}
    monkeypatch.setattr(suite, "usable_cpus", lambda: 4)
    assert "threads minilm" in asked()


def test_some_questions_alone() -> None:
    assert asked(only=["memory"]) == ["memory minilm"]
    assert asked(only=["memory"], all=True) == ["memory minilm", "memory minilm count=100000"]
    assert asked(only=["recall", "size"]) == ["size", "recall"]
    assert "recall" not in asked(trial=True, all=True)


def test_every_question_of_the_suite_has_its_options() -> None:
    for question in suite.QUESTIONS:
        if question.model is not None:
            module = importlib.import_module(f"benchmarks.contest.{question.name}")
            assert module.QUESTION
            options = inspect.signature(module.measure).parameters
            assert {*question.options, *(question.trial or {})} <= {*options}


def test_one_question_has_its_own_options() -> None:
    arguments = suite.parse(["--only", "quality", "--set", "sts=folder", "smallest=false", "compared=5", "--peers"])
    (question,) = suite.chosen(arguments)
    assert question.options == {"sts": "folder", "smallest": False, "compared": 5}
    assert arguments.peers == []
    assert suite.parse([]).peers == list(PEERS)
    for words in (["--only", "quality", "--set", "rounds"], ["--set", "rounds=1"]):
        with pytest.raises(SystemExit):
            suite.parse(words)


@pytest.mark.parametrize("only", [["size"], ["recall"], ["latency", "quality"]])
def test_an_option_that_a_question_does_not_take_is_refused(only: list[str]) -> None:
    with pytest.raises(SystemExit, match=f"--set rounds: {only[-1]} has no such option"):
        suite.chosen(suite.parse(["--only", *only, "--set", "rounds=2"]))


def test_figures_are_kept_until_their_result_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "quality-minilm.json"
    kept.write_text("{}", encoding="utf-8")
    written = []
    monkeypatch.setattr(suite, "UNFINISHED", tmp_path)
    monkeypatch.setattr(suite, "write_result", lambda name, *_: written.append((name, kept.is_file())))
    monkeypatch.setattr("benchmarks.contest.quality.measure", lambda *_, **__: {})
    run = suite.Suite([], [], trial=False)
    monkeypatch.setattr(run, "_field", SimpleNamespace(model=SimpleNamespace(name="minilm"), facts=dict))
    run._ask(suite.Question(name="quality", minutes=1))
    assert written == [("quality-minilm", True)]
    assert not kept.exists()


def test_the_first_part_of_a_name_means_all_that_begin_with_it() -> None:
    assert named(["openvino-fp32", "openvino"]) == ["openvino-fp32", "openvino-default", "openvino-int8"]
    assert named(["sentence-transformers-onnx"]) == [
        "sentence-transformers-onnx-fp32",
        "sentence-transformers-onnx-int8",
    ]
    with pytest.raises(SystemExit, match="'openvin' is no peer; known are fastembed, "):
        named(["openvin"])


def test_texts_of_a_length(artifact: Path) -> None:
    tokenizer = Tokenizer(artifact / TOKENIZER, 32)
    texts = texts_of_length(8, 20, ["a man plays the guitar", "the cat sleeps"], tokenizer)
    assert len(set(texts)) == 20
    assert {len(ids) for ids in tokenizer.encode(texts).ids} == {8}


def test_texts_beyond_the_sentences_are_pairs_of_their_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.contest.memory.FEW", 2)
    sentences = ["A man sings.", "Cats sleep well", "never reached"]
    texts = texts_of(sentences, 4)
    assert texts[:2] == sentences[:2]
    assert len(set(texts)) == 4
    assert all(len(text.split()) == 2 for text in texts[2:])
