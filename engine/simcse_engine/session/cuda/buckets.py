"""The few shapes that small runs are padded to, so that the GPU's work for each can be recorded once and replayed.

A small run takes the GPU less time than telling it, kernel by kernel, what to do. A CUDA graph tells it at once, but is
of fixed shapes. So sentences, longest and tokens are each rounded up to a power of two. What is added are sentences of
no tokens and tokens of no sentence, see `simcse_engine.session.feeds.packed`.
"""

from ..feeds import Size

# From here on the GPU computes for longer than it is told, and what padding adds would count. A prediction: BERT-base
# computes 2,048 tokens in about 1 ms, and its 110 kernels take about half of that to launch.
GRAPH_TOKENS = 2048

# Places of the padded grid for each token, at most: attention in float32 has no other kernel than one that fills it.
_MOST_PLACES = 8

# Shorter ones cost a GPU as much: its tiles are as large.
_LEAST_TOKENS = 16


def bucket(sentences: int, longest: int, tokens: int) -> Size | None:
    """The shape to pad a run to; None for one that is too large, or mostly padding.

    >>> bucket(1, 12, 12)
    Size(sentences=1, longest=16, tokens=16)
    >>> bucket(5, 20, 64)
    Size(sentences=8, longest=32, tokens=128)

    Args:
        sentences: how many.
        longest: tokens of the longest.
        tokens: of all of them.
    """
    rows = _power(sentences)
    # A sentence that is added begins behind the last token, and there must be one to point at.
    padded = max(_LEAST_TOKENS, _power(tokens + (rows > sentences)))
    wide = max(_LEAST_TOKENS, _power(longest))
    if padded > GRAPH_TOKENS or rows * wide > _MOST_PLACES * padded:
        return None
    return Size(rows, wide, padded)


def largest() -> Size:
    """What holds a run of any bucket: each figure is at least as large as theirs."""
    return Size(GRAPH_TOKENS, _MOST_PLACES, GRAPH_TOKENS)


def buckets_alone(max_tokens: int) -> list[Size]:
    """The shapes of single sentences of up to ``max_tokens`` tokens."""
    sizes = {bucket(1, length, length) for length in range(1, max_tokens + 1)}
    return sorted((size for size in sizes if size is not None), key=lambda size: size.tokens)


def _power(count: int) -> int:
    """The next power of two, from ``count`` on."""
    return 1 << (count - 1).bit_length()
