"""Queries: what is searched for, by vectors, by words, or by both."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Mode = Literal["vector", "keywords", "hybrid"]


@dataclass(frozen=True, kw_only=True)
class Queries:
    """What is searched for.

    Attributes:
        vectors: float32 [n, dimension], unit vectors; [n, 0] where none are needed.
        texts: n of them, whose words are searched for; none where that is not asked.
    """

    vectors: NDArray[np.float32]
    texts: Sequence[str] = ()

    def __len__(self) -> int:
        """How many there are."""
        return len(self.vectors)

    def part(self, first: int, last: int) -> "Queries":
        """Those from ``first`` to ``last`` (without)."""
        return Queries(vectors=self.vectors[first:last], texts=self.texts[first:last])
