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

from ..storage.vectors import VectorMap

# What a float32 product of unit vectors can be off by, with room to spare.
_DOUBT = 1e-5
# What is computed at once, so that it is still in the processor's cache when it is looked at: scores of a scan; copies
# of rows that are picked here and there, for all queries or for one, which are then compared in a fifth of the time of
# such as are read back from memory.
_SCORES_BYTES = 1 << 20
_COPY_BYTES = 2 << 20
_PICK_BYTES = 384 << 10
# So many times k that may still be among the best are put in order, before more are looked at.
_MANY = 4


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
        return self.at(firsts)

    def ordered(self) -> "Found":
        """By query, best first."""
        return self.at(np.lexsort((-self.scores, self.queries)))

    def kth(self, queries: int, k: int) -> NDArray[np.float32]:
        """The k-th best score of each of so many queries, -inf where fewer were found; of what is `ordered`."""
        lasts = np.searchsorted(self.queries, np.arange(queries)) + k - 1
        ends = np.searchsorted(self.queries, np.arange(queries), side="right")
        scores = np.full(queries, -np.inf, np.float32)
        scores[lasts < ends] = self.scores[lasts[lasts < ends]]
        return scores

    def at(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "Found":
        """The pairs that a mask chooses, or those at these places, in their order."""
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
    for first, last in _spans(start, end, _SCORES_BYTES // (4 * len(queries))):
        scores = vectors.block(first, last) @ queries.T
        left_out = ~chosen[first - start : last - start]
        if left_out.any():
            scores[left_out] = -np.inf
        best.add(scores, np.arange(first, last))
    return best.found()


def scan_rows(vectors: VectorMap, queries: NDArray[np.float32], k: int, rows: NDArray[np.int64]) -> Found:
    """Compare each query with these rows, int64 [n]; else as `scan`."""
    best = _Best(len(queries), k)
    for first, last in _spans(0, len(rows), _COPY_BYTES // (4 * queries.shape[1])):
        best.add(vectors.take(rows[first:last]) @ queries.T, rows[first:last])
    return best.found()


def _spans(start: int, end: int, size: int) -> Iterator[tuple[int, int]]:
    size = max(1, size)
    for first in range(start, end, size):
        yield first, min(first + size, end)


class _Best:
    """The k best of each query so far, and whatever is within doubt of the k-th."""

    def __init__(self, queries: int, k: int) -> None:
        self._k = k
        self._queries = queries
        # Finite, so that -inf is below it.
        self._floor = np.full(queries, -2, np.float32)
        self._parts: list[Found] = []
        self._pairs = 0
        self._most = self._many = _MANY * k * queries

    def add(self, scores: NDArray[np.float32], rows: NDArray[np.int64]) -> None:
        """Take in scores float32 [rows, queries]; -inf is left out."""
        above = scores >= self._floor
        # Of the very first rows, or where they come in rising order, it is quicker to find their own k-th best first.
        if len(scores) > self._k and np.count_nonzero(above) > self._many:
            by_query = scores.T.copy()
            by_query.partition(-self._k, axis=1)
            self._raise(by_query[:, -self._k])
            above = scores >= self._floor
        # Flat, as NumPy walks through two dimensions six times as slowly.
        places, queries = np.divmod(np.flatnonzero(above), self._queries)
        self._parts.append(Found(queries, rows[places], scores[places, queries]))
        self._pairs += len(queries)
        if self._pairs > self._most:
            self.found()

    def found(self) -> Found:
        """What is left of all that came."""
        found = Found.joined(self._parts).ordered()
        self._raise(found.kth(self._queries, self._k))
        found = found.at(found.scores >= self._floor[found.queries])
        self._parts, self._pairs = [found], len(found.rows)
        # Where many are equal, all of them are left, and are not put in order again for each that joins them.
        self._most = max(self._many, 2 * self._pairs)
        return found

    def _raise(self, kth: NDArray[np.float32]) -> None:
        self._floor = np.maximum(self._floor, kth - np.float32(_DOUBT))


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
    for first, last in _spans(0, len(rows), _PICK_BYTES // (4 * count * queries.shape[1])):
        cube = vectors.take(np.maximum(rows[first:last], 0))
        np.matmul(cube, queries[first:last, :, None], out=scores[first:last, :, None])
    scores[rows < 0] = -np.inf
    best = np.partition(scores, -k, axis=1)[:, -k] if count > k else np.full(len(rows), -np.inf, np.float32)
    floor = np.maximum(best - np.float32(_DOUBT), np.float32(-2))
    where, columns = np.divmod(np.flatnonzero(scores >= floor[:, None]), count)
    return Found(where, rows[where, columns], scores[where, columns])


def settle(found: Found, vectors: VectorMap, queries: NDArray[np.float32], k: int, threshold: float | None) -> Found:
    """Score what was found as it is told, and leave out what is below the k-th of its query, or the threshold.

    Returns:
        Best first within each query; more than k where the k-th's score is shared.
    """
    scores = np.empty(len(found.rows), np.float32)
    exact = queries.astype(np.float64)
    squares = np.einsum("ij,ij->i", exact, exact)
    for first, last in _spans(0, len(scores), _PICK_BYTES // (8 * queries.shape[1])):
        left, asked = vectors.take(found.rows[first:last]).astype(np.float64), found.queries[first:last]
        lengths = np.sqrt(np.einsum("ij,ij->i", left, left) * squares[asked])
        scores[first:last] = np.einsum("ij,ij->i", left, exact[asked]) / lengths
    settled = Found(found.queries, found.rows, scores).ordered()
    least = settled.kth(len(queries), k)
    if threshold is not None:
        least = np.maximum(least, np.float32(threshold))
    return settled.at(settled.scores >= least[settled.queries])
