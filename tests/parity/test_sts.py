"""The artifact ranks sentence pairs as the torch model does: STS Spearman equal to 0.01 points."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer

from conftest import SHARED
from simcse_engine import Encoder
from simcse_engine.measure.quality import measure, spearman
from simcse_engine.measure.sts import Task, read_tasks

STS = SHARED / "sts"
NAMES = ["stsb-dev", "sts12", "sts14"]
# Of each task, every tenth pair: all of them would take torch a minute.
EVERY = 10

Vectors = NDArray[np.float32]


def run_torch(checkpoint: Path, texts: Sequence[str]) -> Vectors:
    """SimCSE's pooler cls, with sentences of one length a batch, so that nothing is padded."""
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    # transformers 5 computes in the files' own precision unless told.
    model = AutoModel.from_pretrained(checkpoint, dtype=torch.float32).eval()
    ids = tokenizer(list(texts), truncation=True, max_length=128)["input_ids"]
    out = np.empty((len(texts), model.config.hidden_size), np.float32)
    by_length: dict[int, list[int]] = {}
    for i, sentence in enumerate(ids):
        by_length.setdefault(len(sentence), []).append(i)
    with torch.inference_mode():
        for positions in by_length.values():
            for start in range(0, len(positions), 32):
                batch = positions[start : start + 32]
                states = model(torch.tensor([ids[i] for i in batch])).last_hidden_state
                out[batch] = torch.tanh(model.pooler.dense(states[:, 0])).numpy()
    return out


@pytest.fixture(scope="module")
def tasks() -> dict[str, Task]:
    """By name; those that lie there, or the tests of this file have nothing to say."""
    by_name = {task.name: task for task in read_tasks(STS)} if STS.is_dir() else {}
    if not by_name.keys() >= set(NAMES):
        pytest.skip(f"no STS pairs at {STS}")
    found = [by_name[name] for name in NAMES]
    return {
        task.name: replace(task, gold=task.gold[::EVERY], first=task.first[::EVERY], second=task.second[::EVERY])
        for task in found
    }


@pytest.fixture(scope="module")
def vectors(
    real_checkpoint: Path, real_artifact: Path, tasks: dict[str, Task]
) -> tuple[dict[str, int], Vectors, Vectors]:
    """Each sentence's row, and the rows as the engine and as torch compute them."""
    texts = sorted({text for task in tasks.values() for side in (task.first, task.second) for text in side})
    with Encoder(real_artifact) as encoder:
        ours = encoder.encode(texts, truncate="silent")
    return {text: i for i, text in enumerate(texts)}, ours, run_torch(real_checkpoint, texts)


@pytest.mark.parametrize("name", NAMES)
def test_spearman(vectors: tuple[dict[str, int], Vectors, Vectors], tasks: dict[str, Task], name: str) -> None:
    rows, ours, theirs = vectors
    task = tasks[name]
    left, right = [rows[text] for text in task.first], [rows[text] for text in task.second]

    def score(encoded: Vectors) -> float:
        unit = encoded.astype(np.float64) / np.linalg.norm(encoded, axis=1, keepdims=True)
        return spearman(np.sum(unit[left] * unit[right], axis=1), task.gold)

    assert score(ours) == pytest.approx(score(theirs), abs=0.01)
    # Two models that are equally useless would agree too; the checkpoint's notes give it 85.7 on stsb-dev.
    assert score(ours) > {"stsb-dev": 80, "sts12": 50, "sts14": 50}[name]


def test_measure_finds_the_same(vectors: tuple[dict[str, int], Vectors, Vectors], tasks: dict[str, Task]) -> None:
    rows, ours, theirs = vectors
    engine, reference = (
        measure(list(tasks.values()), lambda texts, of=of: of[[rows[text] for text in texts]]) for of in (ours, theirs)
    )
    assert engine.average == pytest.approx(reference.average, abs=0.01)
    # Torch's vectors are of any length here and ours are unit vectors: these are of directions alone.
    assert engine.alignment == pytest.approx(reference.alignment, abs=1e-5)
    assert engine.uniformity == pytest.approx(reference.uniformity, abs=1e-5)


def test_vectors_of_real_sentences(vectors: tuple[dict[str, int], Vectors, Vectors]) -> None:
    _, ours, theirs = vectors
    theirs = theirs / np.linalg.norm(theirs, axis=1, keepdims=True)
    assert np.abs(ours - theirs).max() <= 2e-6
