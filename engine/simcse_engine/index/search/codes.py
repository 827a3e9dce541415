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
from .matches import rounding
from .products import PackedQueries
from .team import Team

BLOCK_ROWS = 1024
# Room for rows to come, as a share of those that are there; untouched, it takes no memory.
_ROOM = 1 / 4


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
        self.rests[block] = _longest(left)
        self.lengths[block] = _longest(coded)

    def copy(self, block: int, other: "Coded") -> None:
        """Take over a block of ``other``."""
        rows = slice(block * BLOCK_ROWS, (block + 1) * BLOCK_ROWS)
        self.codes[rows] = other.codes[rows]
        self.means[block], self.scales[block] = other.means[block], other.scales[block]
        self.rests[block], self.lengths[block] = other.rests[block], other.lengths[block]


def _longest(vectors: NDArray[np.float32]) -> np.float32:
    # Rounded up by what float32 may have made too little of it.
    return np.float32(np.sqrt(np.einsum("ij,ij->i", vectors, vectors).max())) * (1 + rounding(vectors.shape[1]))


class Codes:
    """The codes of a generation's vectors, each block's made when it is first needed; for many threads at once.

    They are kept in memory alone (docs/decisions/018-exact-or-graph.md has what it costs to make them).
    """

    def __init__(self, dimension: int) -> None:
        # The arrays, and which of their blocks are coded: together, as whoever does not hold the lock looks at both.
        self._made = (Coded.empty(dimension), np.zeros(0, np.bool_))
        self.after_fork()

    def after_fork(self) -> None:
        """In a forked child: another thread may have held the lock."""
        self._lock = threading.Lock()

    def missing(self, needed: NDArray[np.bool_]) -> int:
        """How many of the blocks that are ``needed``, bool [blocks], are not coded."""
        _, ready = self._made
        return int(np.count_nonzero(needed)) - int(np.count_nonzero(needed[: len(ready)] & ready[: len(needed)]))

    def of(self, vectors: VectorMap, needed: NDArray[np.bool_], team: Team) -> Coded:
        """The codes of ``vectors``, which must be of this generation.

        Only of blocks that are ``needed``, bool [blocks]; the others hold anything, and may be written meanwhile.
        """
        coded, _ = self._made
        if len(needed) * BLOCK_ROWS > len(coded.codes) or self.missing(needed):
            coded = self._coded(vectors, needed, team)
        return coded.first(len(needed))

    def _coded(self, vectors: VectorMap, needed: NDArray[np.bool_], team: Team) -> Coded:
        with self._lock:
            coded, ready = self._made
            if len(needed) > len(ready):
                coded, ready = self._made = _grown(coded, ready, math.ceil(len(needed) * (1 + _ROOM)))

            def code(block: int) -> None:
                coded.put(block, vectors.block(block * BLOCK_ROWS, (block + 1) * BLOCK_ROWS))
                ready[block] = True

            team.each(code, np.flatnonzero(needed & ~ready[: len(needed)]).tolist())
        return coded


def _grown(known: Coded, ready: NDArray[np.bool_], blocks: int) -> tuple[Coded, NDArray[np.bool_]]:
    """Copies with room for so many blocks; searches go on in the former ones."""
    grown, copied = Coded.empty(known.codes.shape[1], blocks), np.zeros(blocks, np.bool_)
    for block in np.flatnonzero(ready).tolist():
        grown.copy(block, known)
        copied[block] = True
    return grown, copied


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
        most = rounding(queries.shape[1])
        rests = np.sqrt(((queries - codes * scales[:, None]) ** 2).sum(axis=1)) * (1 + most)
        self.coded = coded
        self.packed = PackedQueries(codes.astype(np.int8))
        self.units = coded.scales[:, None] * scales
        self.offsets = PackedQueries(queries).products(coded.means).astype(np.float32)
        self.errors = coded.lengths[:, None] * rests + coded.rests[:, None] + most
