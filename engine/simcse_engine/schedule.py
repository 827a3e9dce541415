"""Which sentences run together: the pure half of scheduling, lengths in, batches out.

The graph takes sentences laid end to end, so a batch may mix lengths and never pays for padding in the layers. Its
attention is fastest, and needs no mask, where all lengths are equal. So bulk work is cut into batches of one length
up to a budget of tokens, and only what is left of each length, too little to fill a run, is joined with its neighbours
in length.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The sizes that the scheduler works to, measured by ``benchmarks/limits.py``.

    Attributes:
        batch_tokens: most tokens a run, which bounds its memory (one longer text runs alone). Activations of 512
            tokens stay in a core's cache: 256 measures alike, 128 and 2048 are 9 % slower, 1024 is 6 %.
        full_batch_tokens: a batch of one length runs as such from here on; with fewer tokens it is joined with
            others, since a run below it reads the weights for too few rows.
        mixed_padding: most scores of attention that padding adds to a mixed batch, for each of its tokens (only
            attention is padded, to sentences x longest²). So short texts of any lengths run together, and long ones
            with their like: 16 short texts beside one of 120 tokens take two thirds of the time of one run for all.
        window_texts: texts in memory at once (twice: one window is tokenized while the last one runs).
        window_chars: the same in characters, for long texts.
    """

    batch_tokens: int = 512
    full_batch_tokens: int = 192
    mixed_padding: int = 128
    window_texts: int = 4096
    window_chars: int = 2_000_000


def plan(lengths: Sequence[int], limits: Limits) -> list[list[int]]:
    """Cut sentences of these lengths into batches.

    Returns:
        Batches of positions in ``lengths``; every position is in exactly one, no batch but a single sentence holds
        more than ``limits.batch_tokens``. Longest first, so that no long batch is left for one worker at the end.
    """
    by_length = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    batches, rest = [], []
    for length, group in itertools.groupby(by_length, key=lengths.__getitem__):
        positions = list(group)
        size = max(1, limits.batch_tokens // length)
        for start in range(0, len(positions), size):
            batch = positions[start : start + size]
            if len(batch) * length >= limits.full_batch_tokens:
                batches.append(batch)
            else:
                rest += batch
    batches += _join(rest, lengths, limits)
    return sorted(batches, key=lambda batch: lengths[batch[0]], reverse=True)


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
