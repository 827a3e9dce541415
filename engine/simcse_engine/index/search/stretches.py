"""Stretches: blocks of coded rows that queries are compared with at once, and the scores that this gives."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .codes import BLOCK_ROWS, Estimates
from .matches import Matches

# Products that are made at once, so that they are still in the processor's cache when they are looked at.
_PRODUCTS = 1 << 18
# About so many blocks at once at most, so that each thread gets some.
_MOST_BLOCKS = 32
# Rows whose best score stands for all of them, where a first floor is looked for.
_GROUP_ROWS = 32
# Numbers that NumPy's inner loops get at least.
_WIDTH = 512

Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True)
class Stretch:
    """Blocks that are compared at once.

    Attributes:
        first: the first block.
        last: the one after the last.
        rows: int64, the eligible rows of them, if they are few enough to be picked; None if all are compared.
        eligible: bool, which of all rows are eligible; None if all are.
    """

    first: int
    last: int
    rows: NDArray[np.int64] | None = None
    eligible: NDArray[np.bool_] | None = None


def stretches(eligible: NDArray[np.bool_], queries: int) -> Iterator[Stretch]:
    """Cut the rows, bool [blocks * BLOCK_ROWS], into stretches; blocks without an eligible row are left out."""
    most = max(1, min(_PRODUCTS // queries, _MOST_BLOCKS * BLOCK_ROWS))
    counts = eligible.reshape(-1, BLOCK_ROWS).sum(axis=1).tolist()
    # Of one size, so that no thread is left alone with the last.
    size = sum(counts) / max(1, math.ceil(sum(counts) / most))
    first, taken, end = 0, 0, size
    for last, count in enumerate([*counts, math.inf]):
        if taken and taken + count / 2 > end:
            yield _stretch(eligible, first, last, taken)
            taken, end = 0, end + size - taken
        if not taken:
            first = last
        taken += count


def _stretch(eligible: NDArray[np.bool_], first: int, last: int, count: int) -> Stretch:
    part = eligible[first * BLOCK_ROWS : last * BLOCK_ROWS]
    if count == len(part):
        return Stretch(first, last)
    if 2 * count > len(part):
        return Stretch(first, last, eligible=part)
    return Stretch(first, last, rows=np.flatnonzero(part) + first * BLOCK_ROWS)


class Scores:
    """The estimates of a stretch's scores."""

    def __init__(self, estimates: Estimates, stretch: Stretch) -> None:
        part, codes = slice(stretch.first, stretch.last), estimates.coded.codes
        self._stretch = stretch
        self._units, self._offsets, self._errors = (
            of_block[part] for of_block in (estimates.units, estimates.offsets, estimates.errors)
        )
        self._queries = self._units.shape[1]
        self._block_of: NDArray[np.int64] | None = None
        if stretch.rows is None:
            picked = codes[stretch.first * BLOCK_ROWS : stretch.last * BLOCK_ROWS]
        else:
            picked, self._block_of = codes[stretch.rows], stretch.rows // BLOCK_ROWS - stretch.first
        self._products = estimates.packed.products(picked)
        self._rows_at_once = 1
        while self._rows_at_once * self._queries < _WIDTH:
            self._rows_at_once *= 2

    def reaching(self, floor: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Which scores may reach their query's ``floor``: bool [rows, queries]."""
        # As whole numbers, which are compared with the products as they are.
        least = np.floor((floor - self._errors - self._offsets) / self._units)
        least = least.clip(-(2.0**31), 2.0**31 - 129).astype(self._products.dtype)
        if self._block_of is not None:
            reaching: NDArray[np.bool_] = self._products >= least[self._block_of]
            return reaching
        reaching = (self._wide(self._products) >= self._repeated(least)).reshape(self._products.shape)
        if self._stretch.eligible is not None:
            reaching &= self._stretch.eligible[:, None]
        return reaching

    def at(self, flat: NDArray[np.int64]) -> tuple[Matches, NDArray[np.float32]]:
        """The estimates at places in the flattened [rows, queries], and how far each can be off."""
        places, of_query = np.divmod(flat, self._queries)
        of_block = places // BLOCK_ROWS if self._block_of is None else self._block_of[places]
        scores = self._products.reshape(-1)[flat] * self._units[of_block, of_query] + self._offsets[of_block, of_query]
        rows = self._stretch.rows
        rows = places + self._stretch.first * BLOCK_ROWS if rows is None else rows[places]
        return Matches(of_query, rows, scores.astype(np.float32)), self._errors[of_block, of_query]

    def least_kth(self, k: int) -> NDArray[np.float32] | None:
        """The least that each query's k-th best score of these rows can be, or a little less; None of too few rows."""
        least = self._offsets - self._errors
        if self._block_of is None:
            scores = self._wide(self._products) * self._repeated(self._units)
            scores += self._repeated(least)
            scores = scores.reshape(self._products.shape)
            if self._stretch.eligible is not None:
                scores[~self._stretch.eligible] = -np.inf
        else:
            scores = self._products * self._units[self._block_of] + least[self._block_of]
        if len(scores) >= 4 * _GROUP_ROWS * k:
            # The k best groups have a row each: to sort all rows would take longer than to compare them.
            whole = len(scores) // _GROUP_ROWS * _GROUP_ROWS
            scores = scores[:whole].reshape(-1, _GROUP_ROWS, self._queries).max(axis=1)
        if len(scores) < k:
            return None
        by_query: NDArray[np.float32] = scores.T.astype(np.float32)
        by_query.partition(-k, axis=1)
        return by_query[:, -k]

    def _wide(self, numbers: NDArray[Any]) -> NDArray[Any]:
        """Numbers of whole blocks, [rows, queries], with several rows in the last of three dimensions."""
        return numbers.reshape(-1, BLOCK_ROWS // self._rows_at_once, self._rows_at_once * self._queries)

    def _repeated(self, of_block: NDArray[Number]) -> NDArray[Number]:
        """Numbers [blocks, queries] in the shape of `_wide`."""
        return np.tile(of_block, self._rows_at_once)[:, None]
