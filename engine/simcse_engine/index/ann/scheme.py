"""How a graph is built and searched: its numbers, and what it keeps of a vector."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Candidates for k hits. Rescored with the vectors themselves, they make up for what the graph's numbers round away.
DTYPES: Mapping[str, int] = {"f32": 2, "f16": 2, "bf16": 3, "i8": 3, "b1": 20}


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """How a graph is built and searched.

    The numbers are twice USearch's own, with which it misses several in a thousand of real sentences' nearest ten, not
    none or one in thousands (``benchmarks/search.py``).

    Attributes:
        dimension: floats a vector.
        dtype: what the graph keeps of a vector, one of `DTYPES`. Stated to USearch always: its own default depends on
            the CPU.
        connectivity: neighbours a node.
        expansion_add: candidates looked at where a vector is added.
        expansion_search: candidates looked at where one is searched.
    """

    dimension: int
    dtype: str
    connectivity: int = 32
    expansion_add: int = 128
    expansion_search: int = 128

    def candidates(self, k: int) -> int:
        """How many candidates are rescored for k hits."""
        return max(k * DTYPES[self.dtype], k + 10)


def quantized(vectors: NDArray[np.float32], scheme: Scheme) -> NDArray[Any]:
    """What the graph is given of vectors.

    For i8 each is stretched to the whole range before it is rounded, which its cosine does not notice. USearch's own
    rounding multiplies a unit vector by 127, so that most numbers of a long one are below ten.
    """
    if scheme.dtype == "i8":
        scaled: NDArray[np.float32] = vectors * (127 / np.abs(vectors).max(axis=1, keepdims=True))
        return np.rint(scaled).astype(np.int8)
    if scheme.dtype == "b1":
        return np.packbits(vectors > 0, axis=1)
    return np.ascontiguousarray(vectors)
