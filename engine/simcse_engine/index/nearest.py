"""Who is nearest, from the vectors themselves: exact scans, the scores of candidates, the best of them in order.

Scans and candidates are first compared in float32 products, fast and right to about 1e-6. Of what can still be among
the best, the cosine is then computed in float64 and rounded once, so that a hit has the same score however it was
found, two equal vectors have equal scores, and a vector's score with itself is 1.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from .vectors import VectorMap

# What a float32 product of unit vectors can be off by, with room to spare.
_DOUBT = 1e-5
_SCAN_BYTES = 16 << 20
# Rows that are picked here and there are copied to be compared. A copy that stays in the processor's cache is compared
# in a fifth of the time of one that is read back from memory.
_PICK_BYTES = 384 << 10
_SCORES_BYTES = 32 << 20


@dataclass(frozen=True)
class Found:
    """Pairs of a query and a row; flat, since queries find different numbers of rows.

    Attributes:
        queries: int64 [n], which query.
        rows: int64 [n], which row.
        scores: float32 [n].
    """

    queries: NDArray[np.int64]
    rows: NDArray[np.int64]
    scores: NDArray[np.float32]

    @classmethod
    def nothing(cls) -> Self:
        """No pairs."""
        return cls(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))

    @classmethod
    def joined(cls, parts: "list[Found]") -> Self:
        """All pairs of all parts."""
        parts = [cls.nothing(), *parts]
        return cls(
            np.concatenate([part.queries for part in parts]),
            np.concatenate([part.rows for part in parts]),
            np.concatenate([part.scores for part in parts]),
        )

    def distinct(self) -> "Found":
        """Each pair once."""
        pairs = self.queries * (self.rows.max(initial=0) + 1) + self.rows
        _, firsts = np.unique(pairs, return_index=True)
        return Found(self.queries[firsts], self.rows[firsts], self.scores[firsts])

    def where(self, chosen: NDArray[np.bool_]) -> "Found":
        """The pairs that ``chosen`` names."""
        return Found(self.queries[chosen], self.rows[chosen], self.scores[chosen])


def scan(
    vectors: VectorMap, queries: NDArray[np.float32], k: int, *, start: int, end: int, chosen: NDArray[np.bool_]
) -> Found:
    """Compare each query with rows ``start`` to ``end`` (without), one by one.

    Args:
        vectors: all rows.
        queries: float32 [n, dimension], unit vectors.
        k: how many of the nearest are wanted; what is within doubt of the last is found too.
        start: first row.
        end: row after the last.
        chosen: bool [end - start], which of the rows to look at.
    """
    rows = np.flatnonzero(chosen) + start
    if 2 * len(rows) < end - start:
        return scan_rows(vectors, queries, k, rows)
    best = _Best(len(queries), k)
    for first, last in _spans(start, end, _scan_rows_at_once(queries)):
        scores = queries @ vectors.block(first, last).T
        left_out = ~chosen[first - start : last - start]
        if left_out.any():
            scores[:, left_out] = -np.inf
        best.add(scores, np.arange(first, last))
    return best.found()


def scan_rows(vectors: VectorMap, queries: NDArray[np.float32], k: int, rows: NDArray[np.int64]) -> Found:
    """Compare each query with these rows, int64 [n]; else as `scan`."""
    best = _Best(len(queries), k)
    for first, last in _spans(0, len(rows), _scan_rows_at_once(queries)):
        best.add(queries @ vectors.take(rows[first:last]).T, rows[first:last])
    return best.found()


def _scan_rows_at_once(queries: NDArray[np.float32]) -> int:
    count, dimension = queries.shape
    at_once: int = max(1, min(_SCAN_BYTES // (4 * dimension), _SCORES_BYTES // (4 * count)))
    return at_once


def _spans(start: int, end: int, size: int) -> Iterator[tuple[int, int]]:
    for first in range(start, end, size):
        yield first, min(first + size, end)


class _Best:
    """The k best of each query so far, and whatever is within doubt of the k-th."""

    def __init__(self, queries: int, k: int) -> None:
        self._k = k
        self._top = np.full((queries, k), -np.inf, np.float32)
        self._parts: list[Found] = []

    def add(self, scores: NDArray[np.float32], rows: NDArray[np.int64]) -> None:
        """Take in scores float32 [queries, rows]; -inf is left out."""
        k = self._k
        top = scores if scores.shape[1] <= k else np.partition(scores, scores.shape[1] - k, axis=1)[:, -k:]
        self._top = np.partition(np.concatenate([self._top, top], axis=1), top.shape[1], axis=1)[:, -k:]
        queries, columns = np.nonzero(scores >= self._floor()[:, None])
        self._parts.append(Found(queries, rows[columns], scores[queries, columns]))

    def found(self) -> Found:
        """What is left at the end."""
        found = Found.joined(self._parts)
        return found.where(found.scores >= self._floor()[found.queries])

    def _floor(self) -> NDArray[np.float32]:
        # Finite, so that -inf is below it.
        floor: NDArray[np.float32] = np.maximum(self._top.min(axis=1) - np.float32(_DOUBT), np.float32(-2))
        return floor


def scored(vectors: VectorMap, queries: NDArray[np.float32], rows: NDArray[np.int64], k: int) -> Found:
    """Score candidates.

    Args:
        vectors: all rows.
        queries: float32 [n, dimension], unit vectors.
        rows: int64 [n, m], each query's candidates; -1 for none.
        k: how many of the nearest are wanted; what is within doubt of the last is found too.
    """
    count = rows.shape[1]
    if count == 0:
        return Found.nothing()
    scores = np.empty(rows.shape, np.float32)
    size = max(1, _PICK_BYTES // (4 * count * queries.shape[1]))
    for first, last in _spans(0, len(rows), size):
        cube = vectors.take(np.maximum(rows[first:last], 0))
        np.matmul(cube, queries[first:last, :, None], out=scores[first:last, :, None])
    scores[rows < 0] = -np.inf
    best = np.partition(scores, -k, axis=1)[:, -k] if count > k else np.full(len(rows), -np.inf, np.float32)
    floor = np.maximum(best - np.float32(_DOUBT), np.float32(-2))
    where, columns = np.nonzero(scores >= floor[:, None])
    return Found(where, rows[where, columns], scores[where, columns])


def settle(found: Found, vectors: VectorMap, queries: NDArray[np.float32], k: int, threshold: float | None) -> Found:
    """Score what was found as it is told, and leave out what is below the k-th of its query, or the threshold.

    Returns:
        Best first within each query; more than k where the k-th's score is shared.
    """
    scores = np.empty(len(found.rows), np.float32)
    size = max(1, _PICK_BYTES // (8 * queries.shape[1]))
    exact = queries.astype(np.float64)
    squares = np.einsum("ij,ij->i", exact, exact)
    for first, last in _spans(0, len(scores), size):
        left, asked = vectors.take(found.rows[first:last]).astype(np.float64), found.queries[first:last]
        lengths = np.sqrt(np.einsum("ij,ij->i", left, left) * squares[asked])
        scores[first:last] = np.einsum("ij,ij->i", left, exact[asked]) / lengths
    order = np.lexsort((-scores, found.queries))
    settled = Found(found.queries[order], found.rows[order], scores[order])
    if not len(order):
        return settled
    firsts = np.searchsorted(settled.queries, np.arange(len(queries)))
    last = np.minimum(firsts + k - 1, np.append(firsts[1:], len(order)) - 1)
    kept = settled.scores >= settled.scores[last][settled.queries]
    if threshold is not None:
        kept &= settled.scores >= np.float32(threshold)
    return settled.where(kept)
