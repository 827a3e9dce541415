"""The few shapes that small runs are padded to, so that the GPU's work for each is recorded once and replayed.

A small run takes longer to launch, kernel by kernel, than to compute. A CUDA graph launches all kernels at once, but
has fixed shapes. So the counts of sentences, of tokens, and of the longest sentence's tokens are each rounded up to a
power of two. The padding is sentences of no tokens and tokens of no sentence, see
`simcse_engine.session.feeds.packed`.
"""

from ..feeds import Size

# Larger runs take longer to compute than to launch, and padding would cost time. A prediction
# (docs/decisions/022-cuda-graphs-and-memory.md).
GRAPH_TOKENS = 2048

# Most places of the padded grid for each token: the only kernel of attention in float32 fills that grid.
_MOST_PLACES = 8

# Holds the run of any bucket.
LARGEST = Size(GRAPH_TOKENS, _MOST_PLACES, GRAPH_TOKENS)

# Shorter ones cost a GPU as much, as its tiles are this large.
_LEAST_TOKENS = 16


def bucket(sentences: int, longest: int, tokens: int) -> Size | None:
    """The shape to pad a run to; None for a run that is too large, or would be mostly padding.

    >>> bucket(1, 12, 12)
    Size(sentences=1, longest=16, tokens=16)
    >>> bucket(5, 20, 64)
    Size(sentences=8, longest=32, tokens=128)
    """
    rows = _power(sentences)
    # An added sentence begins behind the last token, where a token must exist.
    padded = max(_LEAST_TOKENS, _power(tokens + (rows > sentences)))
    wide = max(_LEAST_TOKENS, _power(longest))
    if padded > GRAPH_TOKENS or rows * wide > _MOST_PLACES * padded:
        return None
    return Size(rows, wide, padded)


def buckets_alone(max_tokens: int) -> list[Size]:
    """The shapes of single sentences of up to ``max_tokens`` tokens."""
    sizes = {bucket(1, length, length) for length in range(1, max_tokens + 1)}
    return sorted((size for size in sizes if size is not None), key=lambda size: size.tokens)


def _power(count: int) -> int:
    """The next power of two, from ``count`` on."""
    return 1 << (count - 1).bit_length()
