"""The artifact ranks sentence pairs as the torch model does: STS Spearman equal to 0.01 points."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer

from conftest import SHARED
from simcse_engine import Encoder

STS = SHARED / "sts"
NAMES = ["stsb-dev", "sts12", "sts14"]

Vectors = NDArray[np.float32]


def read_pairs(name: str) -> tuple[NDArray[np.float64], list[str], list[str]]:
    """Gold scores, first sentences, second sentences."""
    path = STS / f"{name}.tsv"
    if not path.is_file():
        pytest.skip(f"no STS pairs at {path}")
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    return np.array([float(row[0]) for row in rows]), [row[1] for row in rows], [row[2] for row in rows]


def spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Rank correlation x 100; equal values share the mean of their ranks."""
    return float(100 * np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: NDArray[np.float64] = (last - (counts - 1) / 2)[inverse]
    return ranks


def run_torch(checkpoint: Path, texts: Sequence[str]) -> Vectors:
    """SimCSE's pooler cls, with sentences of one length a batch, so that nothing is padded."""
    tokenizer, model = AutoTokenizer.from_pretrained(checkpoint), AutoModel.from_pretrained(checkpoint).float().eval()
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
def vectors(real_checkpoint: Path, real_artifact: Path) -> tuple[dict[str, int], Vectors, Vectors]:
    """Each sentence's row, and the rows as the engine and as torch compute them."""
    texts = sorted({text for name in NAMES for side in read_pairs(name)[1:] for text in side})
    with Encoder(real_artifact) as encoder:
        ours = encoder.encode(texts, truncate="silent")
    return {text: i for i, text in enumerate(texts)}, ours, run_torch(real_checkpoint, texts)


@pytest.mark.parametrize("name", NAMES)
def test_spearman(vectors: tuple[dict[str, int], Vectors, Vectors], name: str) -> None:
    rows, ours, theirs = vectors
    gold, first, second = read_pairs(name)
    left, right = [rows[text] for text in first], [rows[text] for text in second]

    def score(encoded: Vectors) -> float:
        unit = encoded.astype(np.float64) / np.linalg.norm(encoded, axis=1, keepdims=True)
        return spearman(np.sum(unit[left] * unit[right], axis=1), gold)

    assert score(ours) == pytest.approx(score(theirs), abs=0.01)
    # Two models that are equally useless would agree too; the checkpoint's notes give it 85.7 on stsb-dev.
    assert score(ours) > {"stsb-dev": 80, "sts12": 50, "sts14": 50}[name]


def test_vectors_of_real_sentences(vectors: tuple[dict[str, int], Vectors, Vectors]) -> None:
    _, ours, theirs = vectors
    theirs = theirs / np.linalg.norm(theirs, axis=1, keepdims=True)
    assert np.abs(ours - theirs).max() <= 2e-6


def test_spearman_by_hand() -> None:
    assert spearman(np.array([1.0, 2, 3]), np.array([2.0, 4, 9])) == pytest.approx(100)
    assert spearman(np.array([1.0, 2, 3]), np.array([3.0, 2, 1])) == pytest.approx(-100)
    # Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4.
    assert spearman(np.array([0.0, 1, 1, 2]), np.array([1.0, 2, 3, 4])) == pytest.approx(94.8683298)
