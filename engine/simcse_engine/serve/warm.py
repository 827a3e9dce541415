"""Warming: the first runs of a service, and what they say of the machine's speed."""

import time

from ..encoder import Encoder

_TEXT = (
    "the quick brown fox jumps over a lazy dog while two people sit in an old wooden boat and talk about what they "
    "would like to eat on a rainy evening in the middle of summer when nobody else is near"
)
# Words of sentences as people write them.
_LENGTHS = (5, 8, 9, 11, 12, 14, 17, 20, 26, 38)
_SENTENCES = 120
_SECONDS = 0.3
_MOST_RUNS = 50


def warm(encoder: Encoder) -> float:
    """Encode for a third of a second, or once where that takes longer; tokens per second, at least 1."""
    texts = [_sentence(number) for number in range(_SENTENCES)]
    tokens = sum(map(len, encoder.tokenize(texts).ids))
    encoder.encode(texts[:1], prompt="", truncate="silent")
    best, began = float("inf"), time.perf_counter()
    for _ in range(_MOST_RUNS):
        start = time.perf_counter()
        encoder.encode(texts, prompt="", truncate="silent")
        end = time.perf_counter()
        best = min(best, end - start)
        if end - began > _SECONDS:
            break
    return max(1.0, tokens / best)


def _sentence(number: int) -> str:
    words = _TEXT.split()
    length = _LENGTHS[number % len(_LENGTHS)]
    start = 7 * number % len(words)
    return " ".join((words * 3)[start : start + length])
