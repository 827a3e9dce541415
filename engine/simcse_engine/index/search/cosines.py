"""Cosines of pairs of a row and a query, as hits have them, and the best by them."""

import numpy as np
from numpy.typing import NDArray

from ..limits import blocks
from ..storage.vectors import VectorMap
from .kernels import search_kernels
from .matches import Matches
from .pairs import Pairs

# Without our kernels, rows are copied in blocks of this size, which stay in the processor's cache.
_PICK_BYTES = 384 << 10


def cosines(
    vectors: VectorMap,
    queries: NDArray[np.float32],
    rows: NDArray[np.int64],
    of_query: NDArray[np.int64],
    *,
    threads: int = 1,
) -> NDArray[np.float32]:
    """The cosine of each pair, computed in float64 and rounded once: float32 [n].

    So a hit has the same score however it was found, two equal vectors have equal scores, and a vector's score with
    itself is 1.

    Args:
        vectors: those of the rows.
        queries: float32 [m, dimension].
        rows: int64 [n], of the pairs.
        of_query: int64 [n], the position of each pair's query.
        threads: how many share the work, if no other search has them.
    """
    kernels = search_kernels()
    if kernels is not None:
        return kernels.cosines(vectors.verified(rows), queries, rows, of_query, threads=threads)
    scores = np.empty(len(rows), np.float32)
    exact = queries.astype(np.float64)
    squares = np.einsum("ij,ij->i", exact, exact)
    for first, last in blocks(0, len(scores), _PICK_BYTES // (8 * queries.shape[1])):
        picked, of_picked = vectors.take(rows[first:last]).astype(np.float64), of_query[first:last]
        lengths = np.sqrt(np.einsum("ij,ij->i", picked, picked) * squares[of_picked])
        scores[first:last] = np.einsum("ij,ij->i", picked, exact[of_picked]) / lengths
    return scores


def rescore(
    pairs: Pairs,
    vectors: VectorMap,
    queries: NDArray[np.float32],
    k: int,
    threshold: float | None,
    *,
    threads: int = 1,
) -> Matches:
    """Compute the `cosines`, and keep those from the k-th of each query and the threshold up.

    The matches are best first within each query; more than k where several share the k-th score.
    """
    scores = cosines(vectors, queries, pairs.rows, pairs.queries, threads=threads)
    # A vector that is no number is near nothing, and takes no other's place.
    rescored = Matches(pairs.queries, pairs.rows, scores).at(~np.isnan(scores)).ordered()
    floor = rescored.kth(len(queries), k)
    if threshold is not None:
        # Cosines lie within -1 and 1, and a float32 cannot hold every number.
        floor = np.maximum(floor, np.float32(min(max(threshold, -2), 2)))
    return rescored.at(rescored.scores >= floor[rescored.queries])
