"""What MPNet adds to the scores of attention: a number for each head and each distance from a query to a key.

The model has one for each of 32 buckets of distances (Song et al. 2020, arXiv:2004.09297; buckets as in Raffel et al.
2020, arXiv:1910.10683): half of them for keys before the query. Of each half, the first are a distance each, the others
grow by a factor of √2, and the last has all that are farther.
"""

import numpy as np
from numpy.typing import NDArray

_HALF = 16  # buckets of keys on one side
_EXACT = 8  # of these, buckets of one distance each


def by_distance(buckets: NDArray[np.float32], longest: int) -> NDArray[np.float32]:
    """The biases by distance, float32 [heads, 2 · longest - 1], of ``buckets`` [32, heads].

    Column ``longest - 1 + d`` is of keys ``d`` places behind the query. No text is longer than ``longest`` tokens.
    """
    distances = np.arange(1 - longest, longest)
    return np.ascontiguousarray(buckets[_bucket(distances)].T)


def by_place(bias: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """What is added to the scores of a text, [heads, queries, keys], of biases by distance."""
    places = np.arange(length)
    return bias[:, bias.shape[1] // 2 + places - places[:, None]]


def _bucket(distances: NDArray[np.int64]) -> NDArray[np.int64]:
    apart = np.abs(distances)
    # Bucket 8 + k begins at 8 · √2^k. Squares compare exactly.
    steps = (_EXACT**2 << np.arange(1, _HALF - _EXACT)) <= apart[:, None] ** 2
    return np.where(apart < _EXACT, apart, _EXACT + steps.sum(axis=1)) + np.where(distances > 0, _HALF, 0)
