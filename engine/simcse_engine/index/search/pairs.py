"""Pairs: rows that may be among the best of a query."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Pairs:
    """Pairs of a query and a row; flat, since queries have different numbers of them.

    Attributes:
        queries: int64 [n], the query's position.
        rows: int64 [n], the row.
    """

    queries: NDArray[np.int64]
    rows: NDArray[np.int64]

    def of(self, queries: NDArray[np.int64]) -> "Pairs":
        """The same pairs, of the queries at these places."""
        return Pairs(queries[self.queries], self.rows)


def joined(parts: Sequence[Pairs]) -> Pairs:
    """All pairs of all parts."""
    none = np.empty(0, np.int64)
    queries = np.concatenate([none, *(part.queries for part in parts)])
    return Pairs(queries, np.concatenate([none, *(part.rows for part in parts)]))


def distinct(pairs: Pairs) -> Pairs:
    """Each pair once."""
    numbers = pairs.queries * (pairs.rows.max(initial=0) + 1) + pairs.rows
    _, firsts = np.unique(numbers, return_index=True)
    return Pairs(pairs.queries[firsts], pairs.rows[firsts])


def rounding(dimension: int) -> np.float32:
    """What a float32 product of two unit vectors can be off by, whatever the order of its sum, with room to spare."""
    return np.float32(max(1e-5, dimension * 2**-24))
