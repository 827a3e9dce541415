"""What does attention in bytes cost? Cosines to float32 of the real MiniLM, attention's operands rounded step by step.

All else stays float32, so the cosines show attention alone. Short texts are sentences, long ones a dozen of them
joined.
The roundings are those of ``engine/kernels/byte_attention.h``, and of its alternative, pairs of bfloat16.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch.nn import functional
from transformers import AutoModel, AutoTokenizer

from ..inputs import MAX_TOKENS, MINILM, sentences
from ..record import write_result
from ..turns import no_options

SENTENCES = 240
JOINED = 12

Rounding = Callable[[torch.Tensor], torch.Tensor]


def pairs(x: torch.Tensor) -> torch.Tensor:
    """Rounded to bfloat16."""
    return x.to(torch.bfloat16).float()


def signed_bytes(x: torch.Tensor, dim: int) -> torch.Tensor:
    """Rounded to 127ths of the largest along ``dim``."""
    step = x.abs().amax(dim, keepdim=True).clamp(min=1e-30) / 127
    return (x / step).round() * step


def by_row(x: torch.Tensor) -> torch.Tensor:
    """One step for each token and head."""
    return signed_bytes(x, -1)


def by_feature(x: torch.Tensor) -> torch.Tensor:
    """One step for each feature of a text."""
    return signed_bytes(x, -2)


def weights_in(parts: int) -> Rounding:
    """Rounded to so many parts of the largest, which is 1."""
    return lambda weights: (weights * parts).round() / parts


# Of queries and keys, of values, of weights before they are divided by their sum.
WAYS: dict[str, tuple[Rounding, Rounding, Rounding]] = {
    "all pairs": (pairs, pairs, pairs),
    "queries and keys in bytes": (by_row, pairs, pairs),
    "values in bytes, too": (by_row, by_feature, pairs),
    "weights in two bytes, too": (by_row, by_feature, weights_in(255 * 256)),
    "weights in one byte, too": (by_row, by_feature, weights_in(255)),
}


def main() -> None:
    no_options(__doc__)
    texts = sentences().texts[:SENTENCES]
    long_texts = [" ".join(texts[i : i + JOINED]) for i in range(0, len(texts) - JOINED + 1, JOINED)]
    about = {"question": "1 - cosine to float32 of vectors whose attention is rounded, by what is rounded to what"}
    results = {name: _measure(each) for name, each in (("sentences", texts), ("long texts", long_texts))}
    write_result("byte_attention", about, results)


@torch.inference_mode()
def _measure(texts: Sequence[str]) -> dict[str, Any]:
    checkpoint = MINILM.checkpoint()
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModel.from_pretrained(checkpoint, attn_implementation="sdpa").eval()

    def encode() -> torch.Tensor:
        vectors = []
        for text in texts:  # one at a time: padding would change a text's steps
            tokens = tokenizer(text, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
            vectors.append(functional.normalize(model(**tokens).last_hidden_state.mean(1)))
        return torch.cat(vectors)

    exact = encode()
    cosines = {}
    for name, roundings in WAYS.items():
        with _rounded(*roundings):
            each = (encode() * exact).sum(1)
        cosines[name] = {"mean": float(1 - each.mean()), "most": float(1 - each.min())}
    return {"texts": len(texts), "lost": cosines}


@contextmanager
def _rounded(of_scores: Rounding, of_values: Rounding, of_weights: Rounding) -> Iterator[None]:
    """Attention with these roundings, in transformers' models."""

    def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
        scores = of_scores(query) @ of_scores(key).transpose(-1, -2) * query.shape[-1] ** -0.5
        weights = of_weights(torch.exp(scores - scores.amax(-1, keepdim=True)))
        return weights @ of_values(value) / weights.sum(-1, keepdim=True)

    with mock.patch.object(functional, "scaled_dot_product_attention", attend):
        yield


if __name__ == "__main__":
    main()
