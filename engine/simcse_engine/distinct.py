"""Texts that repeat are encoded once."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

# Rows that move at once where vectors are spread, which bounds the memory for it.
_SPREAD_ROWS = 1024
_Number = TypeVar("_Number", bound=np.generic)


@dataclass(frozen=True)
class Distinct:
    """A caller's texts, and each of them once: what is encoded."""

    originals: Sequence[str]
    # How often each text is among the originals, in the order of first appearance; None if no text is twice.
    counts: Counter[str] | None

    @classmethod
    def of(cls, texts: Sequence[str]) -> Self:
        """Find which texts repeat."""
        if len(texts) == 1:
            return cls(texts, None)
        counts = Counter(texts)
        return cls(texts, None if len(counts) == len(texts) else counts)

    @property
    def texts(self) -> Sequence[str]:
        """Each text once, in the order of first appearance."""
        return self.originals if self.counts is None else list(self.counts)

    def count(self, texts: Sequence[str]) -> int:
        """How many of the originals are among ``texts``, which are distinct."""
        return len(texts) if self.counts is None else sum(self.counts[text] for text in texts)

    def position(self, text: str) -> int:
        """Where ``text`` is first among the originals."""
        return next(position for position, other in enumerate(self.originals) if other == text)

    def part(self, rows: Iterable[int], vectors: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Positions and vectors of the originals whose vectors are ``rows`` of ``vectors``, those of `texts`."""
        done = np.zeros(len(vectors), np.bool_)
        done[list(rows)] = True
        row_of = self._rows()
        positions = np.flatnonzero(done[row_of])
        return positions, vectors[row_of[positions]]

    def _rows(self) -> NDArray[np.intp]:
        """The row of each original in the vectors of `texts`."""
        if self.counts is None:
            return np.arange(len(self.originals))
        row_of = {text: row for row, text in enumerate(self.counts)}
        return np.fromiter((row_of[text] for text in self.originals), np.intp, len(self.originals))

    def spread(self, vectors: NDArray[_Number]) -> NDArray[_Number]:
        """Give every original its row of [len(originals), dimension], in place; the first rows are those of `texts`."""
        if self.counts is not None:
            rows = self._rows()
            # From the end: no text's row lies behind its place, so none is overwritten before it is read.
            for end in range(len(rows), 0, -_SPREAD_ROWS):
                start = max(0, end - _SPREAD_ROWS)
                vectors[start:end] = vectors[rows[start:end]]
        return vectors
