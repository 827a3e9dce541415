"""Which sentences run, and which of them together: the pure half of scheduling, lengths in, batches out.

The graph takes sentences laid end to end, so a batch may mix lengths and never pays for padding in the layers. Its
attention is fastest, and needs no mask, where all lengths are equal. So bulk work is cut into batches of one length
up to a budget of tokens, and only what is left of each length, too little to fill a run, is joined with its neighbours
in length. A graph whose runs take one length only has nothing joined, however little is left.

On a GPU batches are larger, and fused attention takes any lengths; a graph on a padded grid gets neighbours in length.
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from .artifact.manifest import Manifest

# Rows moved at once where vectors are spread, which bounds the memory for it.
_SPREAD_ROWS = 1024


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The sizes that the scheduler works to, measured by ``benchmarks/choices/limits.py``.

    Attributes:
        batch_tokens: most tokens a run, which bounds its memory (one longer text runs alone). Activations of 512
            tokens stay in a core's cache: 256 measures alike, 128 is a tenth slower, 1024 up to 6 %, 2048 up to 9 %.
        full_batch_tokens: a batch of one length runs as such from here on; with fewer tokens it is joined with
            others, since a run below it reads the weights for too few rows.
        mixed_padding: most scores of attention that padding adds to a mixed batch, for each of its tokens (only
            attention is padded, to sentences x longest²). So short texts of any lengths run together, and long ones
            with their like: 16 short texts beside one of 120 tokens take half to two thirds of one run's time.
        window_texts: texts in memory at once (twice: one window is tokenized while the last one runs).
        window_chars: the same in characters, for long texts.
        padded: whether a run is a grid, all of whose places count as tokens.
        batch_sentences: most sentences a run; None for any number.
    """

    batch_tokens: int = 512
    full_batch_tokens: int = 192
    mixed_padding: int = 128
    window_texts: int = 2048
    window_chars: int = 2_000_000
    padded: bool = False
    batch_sentences: int | None = None


# A GPU wants thousands of rows a product, and no batch waits for another of its length. Attention without padding pays
# for mixed lengths in blocks that find nothing to do. Predicted; `python -m benchmarks.gpu` measures other sizes.
_GPU_BATCH = 16_384
GPU_LIMITS = Limits(
    batch_tokens=_GPU_BATCH, full_batch_tokens=_GPU_BATCH, mixed_padding=4096, window_texts=8192, window_chars=8_000_000
)
# In float32 attention has no kernel but one that fills the grid, scores and all, which is memory.
_GPU_FP32_LIMITS = replace(GPU_LIMITS, mixed_padding=512)
_GRID_LIMITS = Limits(padded=True)


def limits_for(manifest: Manifest, device: str) -> Limits:
    """The sizes for an artifact's graph on "cpu" or a "cuda" device."""
    if manifest.layout == "grid":
        if device == "cpu" or manifest.max_batch is None:
            return _GRID_LIMITS
        largest = manifest.max_batch * manifest.max_tokens
        return replace(GPU_LIMITS, padded=True, batch_tokens=largest, batch_sentences=manifest.max_batch)
    if device == "cpu":
        return Limits()
    return _GPU_FP32_LIMITS if manifest.precision == "fp32" else GPU_LIMITS


def plan(lengths: Sequence[int], limits: Limits, *, mixed: bool = True) -> list[list[int]]:
    """Cut sentences of these lengths into batches.

    Args:
        lengths: tokens of each sentence.
        limits: the sizes to work to.
        mixed: whether a batch may hold several lengths. An int8 graph rounds activations, and what another attention
            kernel changes in a last bit can flip a rounding; its runs of one length all take the same kernel, so that
            a sentence's vector is the same, to the bit, in any company.

    Returns:
        Batches of positions in ``lengths``; every position is in exactly one, no batch but a single sentence holds
        more than ``limits.batch_tokens``. Those of the longest sentences first, or without mixing those of the most
        tokens, so that no long run is left for one worker at the end.
    """
    by_length = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    if limits.padded:
        return _on_grid(by_length, lengths, limits)
    batches, rest = [], []
    for length, group in itertools.groupby(by_length, key=lengths.__getitem__):
        positions = list(group)
        size = max(1, limits.batch_tokens // length)
        for start in range(0, len(positions), size):
            batch = positions[start : start + size]
            if not mixed or len(batch) * length >= limits.full_batch_tokens:
                batches.append(batch)
            else:
                rest += batch
    if not mixed:
        return sorted(batches, key=lambda batch: len(batch) * lengths[batch[0]], reverse=True)
    batches += _join(rest, lengths, limits)
    return sorted(batches, key=lambda batch: lengths[batch[0]], reverse=True)


def _on_grid(positions: list[int], lengths: Sequence[int], limits: Limits) -> list[list[int]]:
    """Cut sentences, sorted by falling length, into grids within the budget."""
    batches = []
    start = 0
    while start < len(positions):
        size = max(1, limits.batch_tokens // lengths[positions[start]])
        size = min(size, limits.batch_sentences or size)
        batches.append(positions[start : start + size])
        start += size
    return batches


def _join(positions: list[int], lengths: Sequence[int], limits: Limits) -> list[list[int]]:
    """Cut sentences, sorted by falling length, into mixed batches within the budgets of tokens and padding."""
    batches: list[list[int]] = []
    tokens = scores = 0
    for position in positions:
        length = lengths[position]
        if batches:
            batch = batches[-1]
            padding = (len(batch) + 1) * lengths[batch[0]] ** 2 - (scores + length**2)
            if tokens + length <= limits.batch_tokens and padding <= limits.mixed_padding * (tokens + length):
                batch.append(position)
                tokens, scores = tokens + length, scores + length**2
                continue
        batches.append([position])
        tokens, scores = length, length**2
    return batches


@dataclass(frozen=True)
class Distinct:
    """Texts as they were given, and each of them once: what is encoded.

    Attributes:
        given: all of them.
        counts: how often each is among them, in the order of their first appearance; None where none is twice.
    """

    given: Sequence[str]
    counts: Counter[str] | None

    @classmethod
    def of(cls, given: Sequence[str]) -> Self:
        """Find what repeats in ``given``."""
        if len(given) == 1:
            return cls(given, None)
        counts = Counter(given)
        return cls(given, None if len(counts) == len(given) else counts)

    @property
    def texts(self) -> Sequence[str]:
        """Each text once, in the order of their first appearance."""
        return self.given if self.counts is None else list(self.counts)

    def count(self, texts: Sequence[str]) -> int:
        """How many of the texts given are one of these, which are distinct."""
        return len(texts) if self.counts is None else sum(self.counts[text] for text in texts)

    def position(self, text: str) -> int:
        """Where ``text`` is first among the texts given."""
        return next(position for position, other in enumerate(self.given) if other == text)

    def spread(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give every text its vector, in place.

        Args:
            vectors: float32 [len(given), dimension], whose first rows are those of `texts`.

        Returns:
            ``vectors``, row i being that of ``given[i]``.
        """
        if self.counts is not None:
            place = {text: i for i, text in enumerate(self.counts)}
            rows = np.fromiter((place[text] for text in self.given), np.intp, len(self.given))
            # From the end: no text's row lies behind its place, so none is overwritten before it is read.
            for end in range(len(rows), 0, -_SPREAD_ROWS):
                start = max(0, end - _SPREAD_ROWS)
                vectors[start:end] = vectors[rows[start:end]]
        return vectors


def windows(texts: Iterable[str], limits: Limits) -> Iterator[list[str]]:
    """Cut a stream of texts into lists that are small enough to hold and large enough to sort by length."""
    window: list[str] = []
    chars = 0
    for text in texts:
        window.append(text)
        # What is no str has no say here; it is refused, with its position, where the window is checked.
        chars += len(text) if isinstance(text, str) else 0
        if len(window) == limits.window_texts or chars >= limits.window_chars:
            yield window
            window, chars = [], 0
    if window:
        yield window
