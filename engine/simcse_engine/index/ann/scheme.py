"""How an ANN graph is built and searched, and how it stores a vector."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

# How an ANN graph can store vectors, and how many candidates a hit needs then. They are rescored with the full vectors,
# which makes up for what such a form rounds away (docs/decisions/019-ann-graph.md).
GraphDType = Literal["i8", "f32", "f16", "bf16", "b1"]
CANDIDATES_PER_HIT: Mapping[str, int] = {"f32": 2, "f16": 2, "bf16": 3, "i8": 3, "b1": 20}
# How much larger than the largest number of a graph's first vectors a later one may be, before i8 clips it.
_HEADROOM = 1.25
_BITS: Mapping[str, int] = {"f32": 32, "f16": 16, "bf16": 16, "i8": 8, "b1": 1}


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """How an ANN graph is built and searched.

    The sizes are larger than USearch's own, which miss too many of real sentences' nearest
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
    expansion_search: int = 256

    @property
    def vector_bytes(self) -> int:
        """Of a vector as the graph stores it."""
        return -(-self.dimension * _BITS[self.dtype] // 8)

    def candidates(self, k: int) -> int:
        """How many candidates to rescore for k hits."""
        return max(k * CANDIDATES_PER_HIT[self.dtype], k + 10)


def scale_for(vectors: NDArray[np.float32], scheme: Scheme) -> float | None:
    """What numbers are multiplied by before they are rounded, for a graph that begins with these vectors.

    None for a dtype that needs none.
    """
    largest = np.abs(vectors).max(initial=0.0)
    return float(127 / (_HEADROOM * largest)) if scheme.dtype == "i8" and largest else None


def quantized(vectors: NDArray[np.float32], scheme: Scheme, scale: float | None) -> NDArray[Any]:
    """Vectors as a graph of this scheme and scale takes them.

    For i8, all of a graph have one scale, so that inner products compare as cosines do. USearch's own rounding
    multiplies a unit vector by 127, so that most numbers of a long one end below ten.
    """
    if scheme.dtype == "i8":
        scaled: NDArray[np.float32] = np.rint(vectors * np.float32(scale or 127))
        return np.clip(scaled, -127, 127).astype(np.int8)
    if scheme.dtype == "b1":
        return np.packbits(vectors > 0, axis=1)
    return np.ascontiguousarray(vectors)
