"""What a user writes around a bare runtime: tokenize, sort by length, pad, pool."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from .protocol import Encode, Load

MAX_TOKENS = 256


class Texts:
    """Texts to token ids, all at once and in threads, as `tokenizers` does it."""

    def __init__(self, folder: str) -> None:
        self._tokenizer = Tokenizer.from_file(str(Path(folder, "tokenizer.json")))
        # The checkpoint's file pads everything to 128 tokens.
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)

    def ids(self, texts: list[str]) -> list[list[int]]:
        """Each text's ids."""
        if len(texts) == 1:
            # Without the thread pool, which costs a single text more than it saves.
            return [self._tokenizer.encode(texts[0]).ids]
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(texts)]


def batches(ids: list[list[int]], load: Load) -> Iterator[list[int]]:
    """The positions of the sentences that run together, the longest first."""
    lengths = [len(each) for each in ids]
    order = sorted(range(len(ids)), key=lengths.__getitem__, reverse=True)
    start = 0
    for end in range(1, len(order) + 1):
        full = end - start == load.setting.batch
        if end == len(order) or full or (load.setting.equal and lengths[order[end]] != lengths[order[start]]):
            yield order[start:end]
            start = end


def inputs(ids: list[list[int]]) -> dict[str, NDArray[np.int64]]:
    """BERT's inputs, [sentences, longest] each; the mask is 1 where there are ids."""
    lengths = np.array([len(each) for each in ids])
    mask = np.arange(lengths.max()) < lengths[:, None]
    grid = np.zeros(mask.shape, np.int64)
    grid[mask] = np.fromiter(chain.from_iterable(ids), np.int64, int(lengths.sum()))
    return {"input_ids": grid, "attention_mask": mask.astype(np.int64), "token_type_ids": np.zeros_like(grid)}


def longest_first(encode: Encode, texts: list[str]) -> NDArray[np.float32]:
    """Encode texts sorted by their characters, for libraries that pad and take no ids; rows in the order of texts."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]), reverse=True)
    vectors = encode([texts[i] for i in order])
    out = np.empty_like(vectors)
    out[order] = vectors
    return out


class Pooling:
    """Last layer to unit vectors."""

    def __init__(self, load: Load) -> None:
        self._mean = load.pooler == "avg"
        if not self._mean:
            with np.load(Path(load.folder, "head.npz")) as head:
                self._weight, self._bias = head["weight"].T.copy(), head["bias"]

    def pool(self, states: NDArray[np.float32], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """Vectors [sentences, dimension] of states [sentences, longest, dimension]."""
        if not self._mean:
            return self.head(states[:, 0])
        # The sum's scale does not matter to what becomes of length 1.
        return unit(np.matmul(mask[:, None].astype(np.float32), states)[:, 0])

    def head(self, first: NDArray[np.float32]) -> NDArray[np.float32]:
        """Vectors of the first tokens' states."""
        return unit(np.tanh(first @ self._weight + self._bias))


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale rows to length 1."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
