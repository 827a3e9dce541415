"""Exact scans: each query is compared with every eligible row.

Products in float32 are fast, and right to about `rounding`. So a scan returns all that may be among the k best, and
`rescore` decides.
"""

import numpy as np
from numpy.typing import NDArray

from ..limits import blocks
from ..storage.vectors import VectorMap
from .matches import Matches
from .pairs import rounding
from .products import PackedQueries

# Computed at once, so that they are still in the processor's cache when they are used: scores, and copies of rows.
_SCORES_BYTES = 1 << 20
_COPY_BYTES = 2 << 20
# The matches so far are compacted once there are this many times k of each query.
_COMPACT_FACTOR = 4


def scan(
    vectors: VectorMap, queries: NDArray[np.float32], k: int, *, start: int, end: int, eligible: NDArray[np.bool_]
) -> Matches:
    """The k nearest rows of each query, and those that rounding may have put behind them.

    Compared are the rows from ``start`` to ``end`` (without) that are ``eligible``, bool [end - start]. Queries are
    float32 [n, dimension], unit vectors.
    """
    rows = np.flatnonzero(eligible) + start
    if 2 * len(rows) < end - start:
        return scan_rows(vectors, queries, k, rows)
    best, packed = _Best(queries, k), PackedQueries(queries)
    for first, last in blocks(start, end, _SCORES_BYTES // (8 * len(queries))):
        scores = packed.products(vectors.block(first, last)).astype(np.float32)
        excluded = ~eligible[first - start : last - start]
        if excluded.any():
            scores[excluded] = -np.inf
        best.add(scores, np.arange(first, last))
    return best.matches()


def scan_rows(vectors: VectorMap, queries: NDArray[np.float32], k: int, rows: NDArray[np.int64]) -> Matches:
    """Compare each query with these rows, int64 [n]; else as `scan`."""
    best, packed = _Best(queries, k), PackedQueries(queries)
    for first, last in blocks(0, len(rows), _COPY_BYTES // (4 * queries.shape[1])):
        best.add(packed.products(vectors.take(rows[first:last])).astype(np.float32), rows[first:last])
    return best.matches()


class _Best:
    """The k best matches of each query so far, and those within rounding of the k-th."""

    def __init__(self, queries: NDArray[np.float32], k: int) -> None:
        self._k = k
        self._queries, dimension = queries.shape
        self._rounding = rounding(dimension)
        # Finite, so that -inf is below it.
        self._floor = np.full(self._queries, -2, np.float32)
        self._parts: list[Matches] = []
        self._count = 0
        self._compact_least = self._compact_at = _COMPACT_FACTOR * k * self._queries

    def add(self, scores: NDArray[np.float32], rows: NDArray[np.int64]) -> None:
        """Add scores float32 [rows, queries]; -inf is left out."""
        above = scores >= self._floor
        # Of the first rows, or where scores rise with the rows, most are above: their own k-th best raises the floor.
        if len(scores) > self._k and np.count_nonzero(above) > self._compact_least:
            by_query = scores.T.copy()
            by_query.partition(-self._k, axis=1)
            self._raise_floor(by_query[:, -self._k])
            above = scores >= self._floor
        # Flat: NumPy's nonzero of two dimensions is much slower.
        places, queries = np.divmod(np.flatnonzero(above), self._queries)
        self._parts.append(Matches(queries, rows[places], scores[places, queries]))
        self._count += len(queries)
        if self._count > self._compact_at:
            self.matches()

    def matches(self) -> Matches:
        """What is left of all that was added."""
        matches = Matches.concatenated(self._parts).ordered()
        self._raise_floor(matches.kth(self._queries, self._k))
        matches = matches.at(matches.scores >= self._floor[matches.queries])
        self._parts, self._count = [matches], len(matches.rows)
        # Equal scores all stay; doubling keeps them from being sorted again with each block that adds to them.
        self._compact_at = max(self._compact_least, 2 * self._count)
        return matches

    def _raise_floor(self, kth: NDArray[np.float32]) -> None:
        self._floor = np.maximum(self._floor, kth - self._rounding)
