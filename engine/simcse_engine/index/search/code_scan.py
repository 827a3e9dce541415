"""A scan by codes: exact, since codes only decide which rows are compared by their vectors."""

import threading

import numpy as np
from numpy.typing import NDArray

from ..limits import blocks
from ..storage.vectors import VectorMap
from .codes import Coded, Estimates
from .matches import PICK_BYTES, Matches, rounding
from .stretches import Scores, Stretch, stretches
from .team import Team

# What was found is compacted once there is this many times k of each query.
_COMPACT_FACTOR = 4
# A row that codes leave takes as long as so many that a scan compares, of many queries together, and of one alone.
_SHARE_OF_MANY, _SHARE_OF_ONE = 1 / 64, 1 / 5
# Found at the beginning, before the floor is high: this many times k of each query.
_ALWAYS_FACTOR = 8
# Where more than this many times k of each query would be found at once, a floor is looked for first.
_MANY_FACTOR = 2


def scan_codes(
    coded: Coded,
    vectors: VectorMap,
    queries: NDArray[np.float32],
    k: int,
    *,
    eligible: NDArray[np.bool_],
    team: Team,
) -> Matches | None:
    """The k nearest of the coded rows that are ``eligible``, bool [rows]; else as `scans.scan`.

    None where codes cannot tell the vectors apart, so that it is quicker to compare these.
    """
    found = _Found(Estimates(coded, queries), k)
    try:
        team.each(found.compare, stretches(eligible, len(queries)))
    except _TooManyError:
        return None
    candidates = found.matches()
    scores = np.empty(len(candidates.rows), np.float32)
    for first, last in blocks(0, len(scores), PICK_BYTES // (4 * queries.shape[1])):
        rows, of_query = candidates.rows[first:last], candidates.queries[first:last]
        np.einsum("ij,ij->i", vectors.take(rows), queries[of_query], out=scores[first:last])
    matches = Matches(candidates.queries, candidates.rows, scores).ordered()
    floor = matches.kth(len(queries), k) - rounding(queries.shape[1])
    return matches.at(matches.scores >= floor[matches.queries])


class _TooManyError(Exception):
    """So many rows may be among the best that their vectors take longer than all rows' in a scan."""


class _Found:
    """The rows so far that may be among the k best of a query. Threads share it."""

    def __init__(self, estimates: Estimates, k: int) -> None:
        self._estimates = estimates
        self._k = k
        self._queries = estimates.units.shape[1]
        self._lock = threading.Lock()
        # The least that the k-th best score of each query can be. Without the lock, it may be lower than it could be,
        # which only lets more through.
        self._floor = np.full(self._queries, -2, np.float32)
        self._parts: list[tuple[Matches, NDArray[np.float32]]] = []
        self._count = 0
        self._compact_at = _COMPACT_FACTOR * k * self._queries
        # Pairs that were compared, and those of them that were found.
        self._compared = self._passed = 0
        self._most_share = _SHARE_OF_MANY + _SHARE_OF_ONE / self._queries

    def compare(self, stretch: Stretch) -> None:
        """Compare the queries with the rows of a stretch."""
        scores = Scores(self._estimates, stretch)
        reaching = scores.reaching(self._floor)
        if np.count_nonzero(reaching) > _MANY_FACTOR * self._k * self._queries:
            kth = scores.least_kth(self._k)
            if kth is not None:
                with self._lock:
                    self._raise_floor(kth)
                reaching = scores.reaching(self._floor)
        # Flat: NumPy's nonzero of two dimensions is much slower.
        flat = np.flatnonzero(reaching)
        with self._lock:
            self._compared += reaching.size
            self._passed += len(flat)
            if self._passed > self._most_share * self._compared + _ALWAYS_FACTOR * self._k * self._queries:
                raise _TooManyError
        part = scores.at(flat)
        with self._lock:
            self._parts.append(part)
            self._count += len(part[1])
            if self._count > self._compact_at:
                self.matches()

    def matches(self) -> Matches:
        """What is left of all that was found, with estimated scores."""
        matches = Matches.concatenated([part for part, _ in self._parts])
        errors = np.concatenate([np.empty(0, np.float32), *(errors for _, errors in self._parts)])
        least = Matches(matches.queries, matches.rows, matches.scores - errors).ordered()
        self._raise_floor(least.kth(self._queries, self._k))
        kept = matches.scores + errors >= self._floor[matches.queries]
        matches, errors = matches.at(kept), errors[kept]
        self._parts, self._count = [(matches, errors)], len(errors)
        # Equal scores all stay; doubling keeps them from being sorted again with each stretch that adds to them.
        self._compact_at = max(self._compact_at, 2 * self._count)
        return matches

    def _raise_floor(self, kth: NDArray[np.float32]) -> None:
        np.maximum(self._floor, kth, out=self._floor)
