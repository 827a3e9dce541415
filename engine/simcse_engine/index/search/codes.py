"""Codes: rows as int8, in a quarter of their bytes, and how far a score by them can be off.

Rows are coded in blocks. A block has a mean m and a scale s, so that a row is v = m + s·c + e with whole numbers c
within ±127 and a rest e. Its longest rest and its longest s·c bound the error of every score by its codes
(`Estimates`).
"""

import math
import threading
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..storage.vectors import VectorMap
from .matches import ROUNDING
from .products import PackedQueries
from .team import Team

BLOCK_ROWS = 1024
# Room for rows to come, as a share of those that are there; untouched, it takes no memory.
_ROOM = 1 / 4
# What float32 may have made of a length too little.
_LENGTH = np.float32(1 + 1e-5)


@dataclass(frozen=True)
class Coded:
    """The codes of the first rows, which never change.

    Attributes:
        codes: int8 [rows, dimension]; rows are a multiple of `BLOCK_ROWS`.
        means: float32 [blocks, dimension].
        scales: float32 [blocks].
        rests: float32 [blocks], the length of each block's longest rest.
        lengths: float32 [blocks], the length of each block's longest s·c.
    """

    codes: NDArray[np.int8]
    means: NDArray[np.float32]
    scales: NDArray[np.float32]
    rests: NDArray[np.float32]
    lengths: NDArray[np.float32]

    @classmethod
    def empty(cls, dimension: int, capacity: int = 0) -> Self:
        """Room for ``capacity`` blocks."""
        codes = np.empty((capacity * BLOCK_ROWS, dimension), np.int8)
        # Scales of one, so that what is not coded yet is no division by zero.
        facts = (np.ones(capacity, np.float32) for _ in range(3))
        return cls(codes, np.zeros((capacity, dimension), np.float32), *facts)

    def first(self, blocks: int) -> "Coded":
        """The first so many blocks, not a copy."""
        rows = blocks * BLOCK_ROWS
        return Coded(
            self.codes[:rows], self.means[:blocks], self.scales[:blocks], self.rests[:blocks], self.lengths[:blocks]
        )

    def put(self, block: int, vectors: NDArray[np.float32]) -> None:
        """Code a block, float32 [BLOCK_ROWS, dimension]."""
        mean = vectors.mean(axis=0, dtype=np.float32)
        left = vectors - mean
        scale = max(np.abs(left).max() / np.float32(127), np.float32(1e-12))
        # In place: each of these arrays is as large as the processor's cache.
        coded = left / scale
        np.rint(coded, out=coded)
        self.codes[block * BLOCK_ROWS : (block + 1) * BLOCK_ROWS] = coded
        coded *= scale
        left -= coded
        self.means[block], self.scales[block] = mean, scale
        self.rests[block] = _longest(left) * _LENGTH
        self.lengths[block] = _longest(coded) * _LENGTH

    def copy(self, block: int, other: "Coded") -> None:
        """Take over a block of ``other``."""
        rows = slice(block * BLOCK_ROWS, (block + 1) * BLOCK_ROWS)
        self.codes[rows] = other.codes[rows]
        self.means[block], self.scales[block] = other.means[block], other.scales[block]
        self.rests[block], self.lengths[block] = other.rests[block], other.lengths[block]


def _longest(vectors: NDArray[np.float32]) -> np.float32:
    return np.float32(np.sqrt(np.einsum("ij,ij->i", vectors, vectors).max()))


class Codes:
    """The codes of a generation's vectors, each block's made when it is first needed; for many threads at once.

    They are kept in memory alone (docs/decisions/018-exact-or-graph.md has what it costs to make them).
    """

    def __init__(self, dimension: int) -> None:
        self._coded = Coded.empty(dimension)
        # Which blocks are coded.
        self._ready = np.zeros(0, np.bool_)
        self.after_fork()

    def after_fork(self) -> None:
        """In a forked child: another thread may have held the lock."""
        self._lock = threading.Lock()

    def of(self, vectors: VectorMap, needed: NDArray[np.bool_], team: Team) -> Coded:
        """The codes of ``vectors``, which must be of this generation.

        Only of blocks that are ``needed``, bool [blocks]; the others hold anything.
        """
        with self._lock:
            blocks = len(needed)
            if blocks > len(self._ready):
                self._grow(math.ceil(blocks * (1 + _ROOM)))
            coded, ready = self._coded, self._ready

            def code(block: int) -> None:
                coded.put(block, vectors.block(block * BLOCK_ROWS, (block + 1) * BLOCK_ROWS))
                ready[block] = True

            missing = np.flatnonzero(needed & ~ready[:blocks])
            if len(missing):
                team.each(code, missing.tolist())
        return coded.first(blocks)

    def _grow(self, blocks: int) -> None:
        """Make room for so many blocks; searches go on in the former arrays."""
        known, grown = self._coded, Coded.empty(self._coded.codes.shape[1], blocks)
        ready = np.zeros(blocks, np.bool_)
        ready[: len(self._ready)] = self._ready
        for block in np.flatnonzero(ready).tolist():
            grown.copy(block, known)
        self._coded, self._ready = grown, ready


class Estimates:
    """Scores of queries by codes, and how far each can be from the score of the vectors.

    With q = t·c' + e' for a query, q·v = q·m + t·s·(c'·c) + e'·(s·c) + q·e. The first two are the estimate; the others
    are at most |e'|·|s·c| + |q|·|e|, by Cauchy and Schwarz. The means of blocks are as exact as float32 is.

    Attributes:
        coded: the rows.
        packed: the codes of the queries.
        units: float32 [blocks, queries], what a whole number counts for.
        offsets: float32 [blocks, queries], what is added.
        errors: float32 [blocks, queries], how far an estimate can be off.
    """

    def __init__(self, coded: Coded, queries: NDArray[np.float32]) -> None:
        scales = np.maximum(np.abs(queries).max(axis=1) / np.float32(127), np.float32(1e-12))
        codes = np.rint(queries / scales[:, None])
        rests = np.sqrt(((queries - codes * scales[:, None]) ** 2).sum(axis=1)) * _LENGTH
        self.coded = coded
        self.packed = PackedQueries(codes.astype(np.int8))
        self.units = coded.scales[:, None] * scales
        self.offsets = PackedQueries(queries).products(coded.means).astype(np.float32)
        self.errors = coded.lengths[:, None] * rests + coded.rests[:, None] + ROUNDING
