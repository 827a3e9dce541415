"""What calibration runs on: sentences of our own, or the user's, and the model's attention over them in torch."""

import itertools
import math
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import torch

from simcse_engine.errors import CheckpointError

# More of a calibration file would cost memory (every token's activations are held) and minutes.
_MOST_TOKENS = 30_000
_LEAST_TEXTS = 64
# Tokens that attention looks at in one go, which bounds its memory.
_CHUNK_TOKENS = 4096


def built_in(name: str) -> list[str]:
    """One of the corpora that come along, "calibration" or "gate": captions, news, questions, glosses, long texts …"""
    text = resources.files(__package__).joinpath("corpus", f"{name}.txt").read_text(encoding="utf-8")
    return text.splitlines()


def read_texts(path: Path) -> list[str]:
    """The distinct lines of a user's calibration file that hold anything.

    Raises:
        CheckpointError: it cannot be read, is not UTF-8, or has too few lines to say anything.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path}: cannot be read as UTF-8 text ({error})") from error
    texts = list(dict.fromkeys(line for line in lines if line.strip()))
    if len(texts) < _LEAST_TEXTS:
        raise CheckpointError(
            f"{path}: {len(texts)} distinct lines; calibration wants {_LEAST_TEXTS} or more, best some hundreds "
            "of the kind that will be encoded"
        )
    return texts


def thinned(sentences: Sequence[Sequence[int]]) -> list[Sequence[int]]:
    """Tokenized sentences, evenly thinned out to about `_MOST_TOKENS` tokens."""
    step = max(1.0, sum(map(len, sentences)) / _MOST_TOKENS)
    return [sentences[int(i * step)] for i in range(int(len(sentences) / step))]


class Sample:
    """Tokenized sentences, laid end to end by rising length.

    Attributes:
        ids: int64 [tokens].
        places: int64 [tokens], each token's place in its sentence, from 0.
        firsts: int64 [sentences], where each sentence begins.
    """

    def __init__(self, sentences: Sequence[Sequence[int]]) -> None:
        by_length = sorted(sentences, key=len)
        lengths = torch.tensor([len(sentence) for sentence in by_length])
        self.ids = torch.tensor(list(itertools.chain.from_iterable(by_length)))
        self.places = torch.cat([torch.arange(length) for length in lengths.tolist()])
        self.firsts = torch.cumsum(lengths, 0) - lengths
        self._chunks: list[tuple[int, int, int]] = []
        start = 0
        for length, group in itertools.groupby(lengths.tolist()):
            left = len(list(group))
            while left:
                count = min(left, max(1, _CHUNK_TOKENS // length))
                self._chunks.append((start, count, length))
                start, left = start + count * length, left - count

    def attend(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, heads: int) -> torch.Tensor:
        """Softmax(Q Kᵀ / √d) V within each sentence: float [tokens, hidden]."""
        out = torch.empty_like(query)
        for start, count, length in self._chunks:
            rows = slice(start, start + count * length)
            q, k, v = (part[rows].view(count, length, heads, -1).transpose(1, 2) for part in (query, key, value))
            weights = torch.softmax(q @ k.transpose(2, 3) / math.sqrt(q.shape[3]), -1)
            out[rows] = (weights @ v).transpose(1, 2).reshape(count * length, -1)
        return out
