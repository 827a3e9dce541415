"""Matches: rows that were compared with queries, and their scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from .pairs import Pairs


@dataclass(frozen=True)
class Matches(Pairs):
    """Pairs with the score of each.

    Attributes:
        scores: float32 [n].
    """

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

    def ordered(self) -> "Matches":
        """By query, best first."""
        # As one whole number each, which NumPy sorts many times as fast as two: the bits of floats rise with them if
        # those below the sign of the negative ones are turned over.
        bits = self.scores.view(np.int32)
        falling = ~(bits ^ ((bits >> 31) & np.int32(0x7FFF_FFFF)))
        return self.at(np.argsort((self.queries << 32) + falling, kind="stable"))

    def strictly_ordered(self) -> bool:
        """Whether they are `ordered`, and no two of a query have the same score."""
        same = self.queries[1:] == self.queries[:-1]
        later, better = self.queries[1:] > self.queries[:-1], self.scores[1:] < self.scores[:-1]
        return bool((later | (same & better)).all())

    def kth(self, queries: int, k: int) -> NDArray[np.float32]:
        """The k-th best score of each query, -inf where it has fewer matches; these must be `ordered`."""
        lasts = np.searchsorted(self.queries, np.arange(queries)) + k - 1
        ends = np.searchsorted(self.queries, np.arange(queries), side="right")
        scores = np.full(queries, -np.inf, np.float32)
        scores[lasts < ends] = self.scores[lasts[lasts < ends]]
        return scores

    def at(self, places: NDArray[np.bool_] | NDArray[np.int64]) -> "Matches":
        """The pairs that a mask selects, or those at these places, in their order."""
        return Matches(self.queries[places], self.rows[places], self.scores[places])
