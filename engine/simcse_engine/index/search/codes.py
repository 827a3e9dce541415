"""Codes: rows as int8, in a quarter of their bytes, and how far a score by them can be off.

Rows are coded in blocks. With one mean m of all and a block's scale s, a row is v = m + s·c + e with whole numbers c
within ±127 and a rest e. A block's longest rest and its longest s·c bound the error of every score by its codes
(`CodedQueries`).
"""

import math
import threading
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..storage.vectors import VectorMap
from .pairs import rounding
from .team import Team

BLOCK_ROWS = 192
# Room for rows to come, as a share of those that are there; untouched, it takes no memory.
_ROOM = 1 / 4
# Codes of a row are padded with zeros to whole lines of the processor's cache.
_LINE = 64
# The mean is one of so many rows at most, spread over all.
_MEAN_ROWS = 4096


@dataclass(frozen=True)
class Coded:
    """The codes of some rows one after the other, which never change.

    Attributes:
        codes: int8 [blocks * BLOCK_ROWS, dimension in whole lines].
        mean: float32 [dimension].
        scales: float32 [blocks].
        lengths: float32 [blocks], the length of each block's longest s·c.
        rests: float32 [blocks], that of its longest rest, and what rounding adds to any score.
        start: the first of the rows.
    """

    codes: NDArray[np.int8]
    mean: NDArray[np.float32]
    scales: NDArray[np.float32]
    lengths: NDArray[np.float32]
    rests: NDArray[np.float32]
    start: int = 0

    @classmethod
    def empty(cls, mean: NDArray[np.float32], capacity: int, start: int = 0) -> Self:
        """Room for ``capacity`` blocks."""
        codes = np.zeros((capacity * BLOCK_ROWS, math.ceil(len(mean) / _LINE) * _LINE), np.int8)
        scales, lengths, rests = np.ones((3, capacity), np.float32)
        return cls(codes, mean, scales, lengths, rests, start)

    def first(self, blocks: int) -> "Coded":
        """The first so many blocks, not a copy."""
        facts = (self.scales[:blocks], self.lengths[:blocks], self.rests[:blocks])
        return Coded(self.codes[: blocks * BLOCK_ROWS], self.mean, *facts, self.start)

    def put(self, block: int, vectors: NDArray[np.float32]) -> None:
        """Code a block, float32 [at most BLOCK_ROWS, dimension]."""
        rows, dimension = vectors.shape
        left = vectors - self.mean
        scale = max(np.abs(left).max() / np.float32(127), np.float32(1e-12))
        # In place: each of these arrays is as large as the processor's cache.
        coded = left / scale
        np.rint(coded, out=coded)
        start = block * BLOCK_ROWS
        with np.errstate(invalid="ignore"):
            # What is no number gets any code: as its scale is none either, such a block's rows are all compared.
            self.codes[start : start + rows, :dimension] = coded
        coded *= scale
        left -= coded
        self.scales[block] = scale
        self.lengths[block] = _longest(coded)
        self.rests[block] = _longest(left) + rounding(dimension)

    def copy(self, block: int, other: "Coded") -> None:
        """Take over a block of ``other``."""
        rows = slice(block * BLOCK_ROWS, (block + 1) * BLOCK_ROWS)
        self.codes[rows] = other.codes[rows]
        self.scales[block], self.lengths[block] = other.scales[block], other.lengths[block]
        self.rests[block] = other.rests[block]


def _longest(vectors: NDArray[np.float32]) -> np.float32:
    # Rounded up by what float32 may have made too little of it.
    return np.float32(np.sqrt(np.einsum("ij,ij->i", vectors, vectors).max())) * (1 + rounding(vectors.shape[1]))


class Codes:
    """The codes of a generation's vectors, each block's made when it is first needed; for many threads at once.

    They are kept in memory alone (docs/decisions/018-exact-or-graph.md has what it costs to make them).
    """

    def __init__(self, dimension: int) -> None:
        # The arrays, and which of their blocks are coded: together, as whoever does not hold the lock looks at both.
        self._made = (Coded.empty(np.zeros(dimension, np.float32), 0), np.zeros(0, np.bool_))
        # The rows behind the last whole block, and how many there are.
        self._tail: tuple[Coded, int] | None = None
        self.after_fork()

    def after_fork(self) -> None:
        """In a forked child: another thread may have held the lock."""
        self._lock = threading.Lock()

    def missing(self, needed: NDArray[np.bool_]) -> int:
        """How many of the blocks that are ``needed``, bool [blocks], are not coded."""
        return _missing(needed, self._made[1])

    def of(self, vectors: VectorMap, needed: NDArray[np.bool_], team: Team) -> Coded:
        """The codes of whole blocks of ``vectors``, which must be of this generation.

        Only of blocks that are ``needed``, bool [blocks]; the others hold anything, and may be written meanwhile.
        """
        # Read once: another thread may replace it.
        coded, ready = self._made
        if len(needed) > len(ready) or _missing(needed, ready):
            coded = self._coded(vectors, needed, team)
        return coded.first(len(needed))

    def tail(self, vectors: VectorMap) -> Coded:
        """The codes of the rows of ``vectors`` behind their last whole block: one block, with anything behind them."""
        start = vectors.rows // BLOCK_ROWS * BLOCK_ROWS
        with self._lock:
            whole, last = self._made[0], self._tail
            if last is None or last[1] != vectors.rows or (len(whole.codes) and last[0].mean is not whole.mean):
                rows = np.arange(start, vectors.rows)
                coded = Coded.empty(whole.mean if len(whole.codes) else _mean(vectors, rows), 1, start)
                coded.put(0, vectors.block(start, vectors.rows))
                last = self._tail = (coded, vectors.rows)
            return last[0]

    def _coded(self, vectors: VectorMap, needed: NDArray[np.bool_], team: Team) -> Coded:
        with self._lock:
            coded, ready = self._made
            if len(needed) > len(ready):
                rows = np.flatnonzero(np.repeat(needed, BLOCK_ROWS))
                mean = coded.mean if len(ready) else _mean(vectors, rows)
                grown = Coded.empty(mean, math.ceil(len(needed) * (1 + _ROOM)))
                coded, ready = self._made = _copied(coded, ready, grown)

            def code(block: int) -> None:
                coded.put(block, vectors.block(block * BLOCK_ROWS, (block + 1) * BLOCK_ROWS))
                ready[block] = True

            team.each(code, np.flatnonzero(needed & ~ready[: len(needed)]).tolist())
        return coded


def _missing(needed: NDArray[np.bool_], ready: NDArray[np.bool_]) -> int:
    return int(np.count_nonzero(needed)) - int(np.count_nonzero(needed[: len(ready)] & ready[: len(needed)]))


def _mean(vectors: VectorMap, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """The mean of some of these rows, from which codes start: any serves, and a near one is exacter."""
    picked = rows[np.linspace(0, len(rows) - 1, min(len(rows), _MEAN_ROWS)).astype(np.int64)]
    mean: NDArray[np.float32] = vectors.take(picked).mean(axis=0, dtype=np.float32)
    mean[~np.isfinite(mean)] = 0
    return mean


def _copied(known: Coded, ready: NDArray[np.bool_], grown: Coded) -> tuple[Coded, NDArray[np.bool_]]:
    """Take over what is coded into room for more; searches go on in the former."""
    copied = np.zeros(len(grown.scales), np.bool_)
    for block in np.flatnonzero(ready).tolist():
        grown.copy(block, known)
        copied[block] = True
    return grown, copied


class CodedQueries:
    """Queries in codes of their own.

    With q = t·c' + e' for a query, q·v = q·m + t·s·(c'·c) + e'·(s·c) + q·e. The first two estimate the score; the
    others are at most |e'|·|s·c| + |q|·|e|, by Cauchy and Schwarz.

    Attributes:
        codes: int8 [n, dimension in whole lines].
        scales: float32 [n].
        rests: float32 [n], the length of each one's rest.
        offsets: float32 [n], the products with the mean.
    """

    def __init__(self, coded: Coded, queries: NDArray[np.float32]) -> None:
        count, dimension = queries.shape
        self.scales = np.maximum(np.abs(queries).max(axis=1) / np.float32(127), np.float32(1e-12))
        codes = np.rint(queries / self.scales[:, None])
        self.codes = np.zeros((count, coded.codes.shape[1]), np.int8)
        self.codes[:, :dimension] = codes
        left = queries - codes * self.scales[:, None]
        self.rests = np.sqrt(np.einsum("ij,ij->i", left, left)) * (1 + rounding(dimension))
        self.offsets = np.einsum("ij,j->i", queries, coded.mean, dtype=np.float64).astype(np.float32)
