"""What a run leaves, however it ends."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from benchmarks.gpu.answers import Answers, known_seconds
from benchmarks.record import RESULTS_VARIABLE

ABOUT = {"gpu": "a GPU", "trial": False}


@pytest.fixture(autouse=True)
def _environment_stays() -> Iterator[None]:
    """Whatever is measured next in this process writes where it would have."""
    before = os.environ.get(RESULTS_VARIABLE)
    yield
    assert os.environ.get(RESULTS_VARIABLE) == before


def content(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "gpu-contest-minilm.json").read_text(encoding="utf-8"))


def test_each_answer_is_there_as_soon_as_it_is_known(tmp_path: Path) -> None:
    answers = Answers(tmp_path, "minilm", ABOUT, resume=False)
    answers.add("texts", {"rate": 2.0}, seconds=3.0)
    assert content(tmp_path)["answers"] == {"texts": {"seconds": 3.0, "rate": 2.0}}
    answers.fail("ids", "RuntimeError: no")
    answers.close({"one": "takes about 20 s, and 3 s were left"})
    written = content(tmp_path)
    assert written["answers"].keys() == {"texts"}
    assert written["failed"] == {"ids": "RuntimeError: no"}
    assert written["not_run"] == {"one": "takes about 20 s, and 3 s were left"}
    assert written["gpu"] == "a GPU"
    assert [path.name for path in tmp_path.iterdir()] == ["gpu-contest-minilm.json"]
    assert known_seconds(tmp_path.glob("*.json")) == {"minilm texts": 3.0}


def test_a_run_goes_on(tmp_path: Path) -> None:
    first = Answers(tmp_path, "minilm", ABOUT, resume=True)
    first.add("texts", {"rate": 2.0}, seconds=3.0)
    first.fail("ids", "RuntimeError: no")
    second = Answers(tmp_path, "minilm", ABOUT, resume=True)
    assert second.answered == {"texts": {"seconds": 3.0, "rate": 2.0}}
    second.add("ids", {"rate": 1.0}, seconds=1.0)
    assert content(tmp_path)["answers"].keys() == {"texts", "ids"}
    assert content(tmp_path)["failed"] == {}
    assert Answers(tmp_path, "minilm", ABOUT, resume=False).answered == {}


def test_answers_of_another_gpu_are_not_mixed(tmp_path: Path) -> None:
    Answers(tmp_path, "minilm", ABOUT, resume=False).add("texts", {}, seconds=1.0)
    with pytest.raises(ValueError, match=r"has gpu a GPU, and this run another; leave out --resume"):
        Answers(tmp_path, "minilm", {**ABOUT, "gpu": "another"}, resume=True)
