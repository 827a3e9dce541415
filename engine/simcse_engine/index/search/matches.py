"""Matches: rows that were compared with queries, and their scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..limits import blocks
from ..storage.vectors import VectorMap

# Rows are copied in blocks of this size, which stay in the processor's cache until they have been compared.
PICK_BYTES = 384 << 10


def rounding(dimension: int) -> np.float32:
    """What a float32 product of two unit vectors can be off by, whatever the order of its sum, with room to spare."""
    return np.float32(max(1e-5, dimension * 2**-24))


@dataclass(frozen=True)
class Matches:
    """Pairs of a query and a row; flat, since queries have different numbers of matches.

    Attributes:
        queries: int64 [n], the query's position.
        rows: int64 [n], the row.
        scores: float32 [n].
    """

    queries: NDArray[np.int64]
    rows: NDArray[np.int64]
    scores: NDArray[np.float32]

    @classmethod
    def empty(cls) -> Self:
        """No pairs."""
        return cls(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))

    @classmethod
    def concatenated(cls, parts: "Sequence[Matches]") -> Self:
        """All pairs of all parts."""
        parts = [cls.empty(), *parts]
        return cls(
            np.concatenate([part.queries for part in parts]),
            np.concatenate([part.rows for part in parts]),
            np.concatenate([part.scores for part in parts]),
        )

    def distinct(self) -> "Matches":
        """Each pair once."""
        pairs = self.queries * (self.rows.max(initial=0) + 1) + self.rows
        _, firsts = np.unique(pairs, return_index=True)
        return self.at(firsts)

    def ordered(self) -> "Matches":
        """By query, best first."""
        # As one whole number each, which NumPy sorts many times as fast as two: the bits of floats rise with them if
        # those below the sign of the negative ones are turned over.
        bits = self.scores.view(np.int32)
        falling = ~(bits ^ ((bits >> 31) & np.int32(0x7FFF_FFFF)))
        return self.at(np.argsort((self.queries << 32) + falling, kind="stable"))

    def kth(self, queries: int, k: int) -> NDArray[np.float32]:
        """The k-th best score of each query, -inf where it has fewer matches; these must be `ordered`."""
        lasts = np.searchsorted(self.queries, np.arange(queries)) + k - 1
        ends = np.searchsorted(self.queries, np.arange(queries), side="right")
        scores = np.full(queries, -np.inf, np.float32)
        scores[lasts < ends] = self.scores[lasts[lasts < ends]]
        return scores

    def of(self, queries: NDArray[np.int64]) -> "Matches":
        """The same pairs, of the queries at these places."""
        return Matches(queries[self.queries], self.rows, self.scores)

    def at(self, places: NDArray[np.bool_] | NDArray[np.int64]) -> "Matches":
        """The pairs that a mask selects, or those at these places, in their order."""
        return Matches(self.queries[places], self.rows[places], self.scores[places])


def rescore(
    matches: Matches, vectors: VectorMap, queries: NDArray[np.float32], k: int, threshold: float | None
) -> Matches:
    """Compute the cosines in float64, rounded once, and keep those from the k-th of each query and the threshold up.

    So a hit has the same score however it was found, two equal vectors have equal scores, and a vector's score with
    itself is 1. The matches are best first within each query; more than k where several share the k-th score.
    """
    scores = np.empty(len(matches.rows), np.float32)
    exact = queries.astype(np.float64)
    squares = np.einsum("ij,ij->i", exact, exact)
    for first, last in blocks(0, len(scores), PICK_BYTES // (8 * queries.shape[1])):
        rows, of_query = vectors.take(matches.rows[first:last]).astype(np.float64), matches.queries[first:last]
        lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows) * squares[of_query])
        scores[first:last] = np.einsum("ij,ij->i", rows, exact[of_query]) / lengths
    rescored = Matches(matches.queries, matches.rows, scores).ordered()
    floor = rescored.kth(len(queries), k)
    if threshold is not None:
        # Cosines lie within -1 and 1, and a float32 cannot hold every number.
        floor = np.maximum(floor, np.float32(min(max(threshold, -2), 2)))
    return rescored.at(rescored.scores >= floor[rescored.queries])
