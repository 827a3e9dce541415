"""Cosines of vectors of any length, in float64."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_BLOCK_ROWS = 1024
# Cosines closer than this are equal. They differ by rounding alone: the vectors' own floats are 2e-8 apart at best.
_DECIMALS = 12


def unit_rows(vectors: NDArray[Any]) -> NDArray[np.float64]:
    """The rows of [n, dimension] at length 1; a zero row stays zero, so that its cosine to every row is 0."""
    rows = vectors.astype(np.float64)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    units: NDArray[np.float64] = rows / np.where(norms == 0, 1, norms)
    return units


def pair_cosines(
    vectors: NDArray[np.float32], left: NDArray[np.int64], right: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Cosines of the rows ``left[i]`` and ``right[i]`` of ``vectors``: float64 [pairs]; equal directions are tied."""
    out = np.empty(len(left))
    for start in range(0, len(left), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        out[block] = np.sum(unit_rows(vectors[left[block]]) * unit_rows(vectors[right[block]]), axis=1)
    return np.round(out, _DECIMALS)
