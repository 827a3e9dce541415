"""Work in blocks: from where to where each one goes."""

from collections.abc import Iterator


def blocks(start: int, end: int, size: int) -> Iterator[tuple[int, int]]:
    """Cut ``start`` to ``end`` (without) into blocks of ``size``, at least 1: each one's first, and the one after it.

    >>> list(blocks(0, 5, 2))
    [(0, 2), (2, 4), (4, 5)]
    """
    size = max(1, size)
    for first in range(start, end, size):
        yield first, min(first + size, end)
