"""The calibration sample: tokenized sentences laid end to end, and the model's attention over them in torch."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ..checkpoint.attention_bias import by_place

# Every token's activations are held in memory at once.
_MAX_TOKENS = 30_000
# Tokens whose attention is computed at once, which bounds its memory.
_CHUNK_TOKENS = 4096


def thinned(sentences: Sequence[Sequence[int]]) -> list[Sequence[int]]:
    """Tokenized sentences, evenly thinned out to about `_MAX_TOKENS` tokens."""
    step = max(1.0, sum(map(len, sentences)) / _MAX_TOKENS)
    return [sentences[int(i * step)] for i in range(int(len(sentences) / step))]


class Sample:
    """Tokenized sentences, laid end to end by rising length.

    Attributes:
        ids: int64 [tokens].
        positions: int64 [tokens], each token's position in its sentence, from 0.
        firsts: int64 [sentences], where each sentence begins.
    """

    def __init__(self, sentences: Sequence[Sequence[int]]) -> None:
        by_length = sorted(sentences, key=len)
        lengths = torch.tensor([len(sentence) for sentence in by_length])
        self.ids = torch.tensor(list(itertools.chain.from_iterable(by_length)))
        self.positions = torch.cat([torch.arange(length) for length in lengths.tolist()])
        self.firsts = torch.cumsum(lengths, 0) - lengths
        self._chunks: list[tuple[int, int, int]] = []  # first token, sentences, and the length they share
        start = 0
        for length, group in itertools.groupby(lengths.tolist()):
            left = len(list(group))
            while left:
                count = min(left, max(1, _CHUNK_TOKENS // length))
                self._chunks.append((start, count, length))
                start, left = start + count * length, left - count

    def attend(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        heads: int,
        bias: NDArray[np.float32] | None = None,
    ) -> torch.Tensor:
        """Softmax(Q Kᵀ / √d + bias) V within each sentence: float [tokens, hidden].

        The bias is by distance, see `simcse_export.checkpoint.attention_bias`; None for none.
        """
        out = torch.empty_like(query)
        for start, count, length in self._chunks:
            rows = slice(start, start + count * length)
            q, k, v = (part[rows].view(count, length, heads, -1).transpose(1, 2) for part in (query, key, value))
            scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[3])
            if bias is not None:
                scores += torch.from_numpy(by_place(bias, length))
            weights = torch.softmax(scores, -1)
            out[rows] = (weights @ v).transpose(1, 2).reshape(count * length, -1)
        return out
