"""How an ANN graph is built and searched, and how it stores a vector."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# How an ANN graph can store vectors, and how many candidates a hit needs then. They are rescored with the full vectors,
# which makes up for what such a form rounds away (docs/decisions/019-ann-graph.md).
CANDIDATES_PER_HIT: Mapping[str, int] = {"f32": 2, "f16": 2, "bf16": 3, "i8": 3, "b1": 20}
_BITS: Mapping[str, int] = {"f32": 32, "f16": 16, "bf16": 16, "i8": 8, "b1": 1}


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """How an ANN graph is built and searched.

    The three sizes are twice USearch's own, which miss too many of real sentences' nearest
    (docs/decisions/019-ann-graph.md).

    Attributes:
        dimension: floats per vector.
        dtype: how the graph stores a vector, one of `CANDIDATES_PER_HIT`. Always passed to USearch, whose own default
            depends on the CPU.
        connectivity: neighbours per node.
        expansion_add: candidates to look at when a vector is added.
        expansion_search: candidates to look at when one is searched for.
    """

    dimension: int
    dtype: str
    connectivity: int = 32
    expansion_add: int = 128
    expansion_search: int = 128

    @property
    def vector_bytes(self) -> int:
        """Of a vector as the graph stores it."""
        return -(-self.dimension * _BITS[self.dtype] // 8)

    def candidates(self, k: int) -> int:
        """How many candidates to rescore for k hits."""
        return max(k * CANDIDATES_PER_HIT[self.dtype], k + 10)


def quantized(vectors: NDArray[np.float32], scheme: Scheme) -> NDArray[Any]:
    """Vectors as the graph takes them.

    For i8, each is scaled to the whole range before it is rounded, which leaves its cosines as they are. USearch's own
    rounding multiplies a unit vector by 127, so that most numbers of a long one end below ten.
    """
    if scheme.dtype == "i8":
        scaled: NDArray[np.float32] = vectors * (127 / np.abs(vectors).max(axis=1, keepdims=True))
        return np.rint(scaled).astype(np.int8)
    if scheme.dtype == "b1":
        return np.packbits(vectors > 0, axis=1)
    return np.ascontiguousarray(vectors)
