"""What the vectors must be: transformers' own forward pass, one text at a time, with none of the product's code."""

import inspect
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from transformers import AutoModel, AutoTokenizer

from simcse_engine import Encoder

TEXTS = [
    "",
    " ",
    "\n\t",
    "a",
    "?!",
    "A man plays a guitar.",
    "a man plays a guitar.",
    "The cat sat on the mat; the dog did not mind.",
    "Größere Übungen für müde Füße.",
    "一个男人在弹吉他。東京の冬",
    "الكتاب على الطاولة",
    "😂😂 \u200b \x00 \ufffd \U0010ffff",
    "[CLS] [SEP] [PAD] [MASK] [UNK]",
    "[PAD][PAD] the cat [PAD]",
    "<s> </s> <pad> <mask> <unk>",
    "<pad>",
    "<pad><pad> the <pad> cat <pad>",
    "the cat <pad>",
    "unbelievable" * 3,
    *("the" + " dog" * n for n in (1, 2, 5, 9)),
    *("a" + " a" * n for n in (3, 6, 12, 20, 30, 45, *range(56, 66))),
    "the cat sat on the mat and " * 40,
]


def forward(
    checkpoint: Path, pooler: str, texts: Sequence[str] = TEXTS, *, max_tokens: int = 64, normalize: bool = True
) -> NDArray[np.float32]:
    """float32 [texts, dimension]; for pooler cls the head is ``mlp.dense``, or else the model's own pooler."""
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModel.from_pretrained(checkpoint, dtype=torch.float32, attn_implementation="eager").eval()
    inputs = inspect.signature(model.forward).parameters
    rows = []
    with torch.inference_mode():
        for text in texts:
            batch = tokenizer([text], truncation=True, max_length=max_tokens, return_tensors="pt")
            # sentence-transformers leaves out what the model does not take, too.
            batch = {name: tensor for name, tensor in batch.items() if name in inputs}
            output = model(**batch, output_hidden_states=True)
            hidden, last = output.hidden_states, output.last_hidden_state
            if pooler == "cls":
                vector = _trained_head(checkpoint, hidden[-1][:, 0])
                vector = output.pooler_output if vector is None else vector
            else:
                first, below = hidden[1], hidden[-2]
                vector = {
                    "cls_before_pooler": last[:, 0],
                    "avg": last.mean(dim=1),
                    "avg_top2": (last + below).div(2).mean(dim=1),
                    "avg_first_last": (last + first).div(2).mean(dim=1),
                    "max": last.max(dim=1).values,
                    "mean_sqrt_len": last.sum(dim=1) / last.shape[1] ** 0.5,
                    "weightedmean": torch.arange(1.0, last.shape[1] + 1) @ last / sum(range(last.shape[1] + 1)),
                    "lasttoken": last[:, -1],
                }[pooler]
            rows.append(vector / vector.norm() if normalize else vector)
    return torch.cat(rows).numpy()


def _trained_head(checkpoint: Path, first: torch.Tensor) -> torch.Tensor | None:
    file = checkpoint / "model.safetensors"
    state = load_file(file) if file.is_file() else {}
    if "mlp.dense.weight" not in state:
        return None
    return torch.tanh(first @ state["mlp.dense.weight"].T + state["mlp.dense.bias"])


def encoded(artifact: Path, texts: Sequence[str] = TEXTS) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The artifact's vectors of ``texts``, run in one call of mixed lengths, and each text in a call of its own."""
    with Encoder(artifact, truncate="silent") as encoder:
        return encoder.encode(texts), np.concatenate([encoder.encode([text]) for text in texts])


def assert_equal(
    artifact: Path, expected: NDArray[np.float32], texts: Sequence[str] = TEXTS, *, within: float = 2e-6
) -> None:
    """Fail unless the artifact gives ``expected``, both ways."""
    for vectors in encoded(artifact, texts):
        assert vectors.shape == expected.shape
        np.testing.assert_allclose(vectors, expected, rtol=0, atol=within)
