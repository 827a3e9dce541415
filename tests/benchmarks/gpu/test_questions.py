"""Every question is answered, on a CPU with a small model."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from benchmarks.gpu.field import OURS, Field
from benchmarks.gpu.peers import PEERS
from benchmarks.record import plain

from benchmarks.gpu import bulk, question_table, questions

# What takes a compiler, or a GPU.
ELSEWHERE = {"compiled", "further-compiled", *question_table.ONLY_ON_GPUS}


def answer(name: str, field: Field) -> dict[str, Any]:
    figures: dict[str, Any] = plain(questions.ASK[name](field))
    return json.loads(json.dumps(figures))


def test_every_question_of_the_table_has_an_answer() -> None:
    assert {question.name for question in question_table.QUESTIONS} == questions.ASK.keys()
    assert len({question.key for question in question_table.QUESTIONS}) == len(question_table.QUESTIONS)


@pytest.mark.parametrize("name", sorted(questions.ASK.keys() - ELSEWHERE))
def test_every_question_is_answered(name: str, field: Field) -> None:
    figures = answer(name, field)
    assert figures.get("met", True)
    if "ours_over_peer" in figures:
        assert {"torch-fp16", "torch-unpadded-fp16", "torch-unpadded-bf16"} <= figures["ours_over_peer"].keys()


def test_shares_of_the_peak_by_length(field: Field) -> None:
    figures = answer("lengths", field)
    assert list(figures["lengths"]) == [str(length) for length in bulk.LENGTHS]
    at = figures["lengths"]["128"]
    assert at["share_of_matrix_peak"].keys() == at["tokens_per_second"].keys()
    assert at["share_of_matrix_peak"][OURS]["median"] > 0


def test_compiled_peers_run_from_texts_and_from_ids(field: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    # Not compiled: that takes a compiler, and minutes.
    monkeypatch.setattr(bulk, "COMPILED", {"torch-fp16-compiled": PEERS["torch-fp16"]})
    figures = answer("compiled", field)
    assert figures["ours_over_peer"].keys() == figures["ids"]["ours_over_peer"].keys() == {"torch-fp16-compiled"}


def test_callers(field: Field) -> None:
    figures = answer("callers", field)["callers"]
    assert figures.keys() == {"8", "64"}
    assert figures["8"][OURS]["sentences_per_second"] > 0
    assert figures["64"]["torch-fp16"]["ms"].keys() == {"p50", "p99", "p99.9"}


def test_spellings_take_turns_with_the_artifact(field: Field, tmp_path: Path) -> None:
    same = Path(shutil.copytree(field.prepared.ours, tmp_path / "as-it-is"))
    broken = Path(shutil.copytree(field.prepared.ours, tmp_path / "packed"))
    (broken / "model.onnx").unlink()
    field.prepared = replace(field.prepared, spellings={"as-it-is": same, "packed": broken})
    figures = answer("spellings", field)
    assert figures["spelling_over_ours"]["mix"].keys() == {"as-it-is"}
    assert figures["one_minus_least_cosine"]["as-it-is"] < 1e-6
    assert figures["absent"].keys() == {"packed"}


def test_limits_are_as_before(field: Field) -> None:
    before = field.ours.encoder._model.runner.limits
    answer("batches", field)
    assert field.ours.encoder._model.runner.limits == before
