"""The sizes that an index works to, and work in blocks of a size."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

# Called with a number of entries whenever so many more are done.
Progress = Callable[[int], Any]


@dataclass(frozen=True, kw_only=True)
class SearchLimits:
    """The sizes that an index works to (docs/decisions/018-exact-or-graph.md, 019-ann-graph.md).

    Attributes:
        exact_rows: up to so many vectors, or so many that pass a filter, the search is exact; up to so many in the
            index no ANN graph is built, and one that is there neither grows nor is used without ``exact=False``.
        extend_rows: the ANN graph takes in new vectors once there are so many; until then each search compares them
            all, from a thousand on by codes.
        extend_share: or this share of what the ANN graph holds, whichever is more.
        save_share: the ANN graph is saved once it has grown by this share, and by at least `extend_rows`.
        max_candidates: where a filter would need more candidates than this, the rows that pass it are scanned.
        window_texts: texts that `Index.add` commits at once.
        group_queries: queries that are searched for at once.
        keyword_rows: of a query's words, the rarest are searched for, up to so many entries that hold one.
        masks: filters whose result is remembered.
        known_bytes: entries that were hits stay in memory, about so many bytes of them.
    """

    exact_rows: int = 100_000
    extend_rows: int = 4096
    extend_share: float = 1 / 256
    save_share: float = 1 / 16
    max_candidates: int = 1024
    window_texts: int = 4096
    group_queries: int = 256
    keyword_rows: int = 5_000
    masks: int = 8
    known_bytes: int = 16 << 20


def blocks(start: int, end: int, size: int) -> Iterator[tuple[int, int]]:
    """Cut ``start`` to ``end`` (without) into blocks of ``size``, at least 1: each one's first, and the one after it.

    >>> list(blocks(0, 5, 2))
    [(0, 2), (2, 4), (4, 5)]
    """
    size = max(1, size)
    for first in range(start, end, size):
        yield first, min(first + size, end)
