"""Candidates: rows that the ANN graph proposes, compared with the query by their own vectors."""

import math

import numpy as np
from numpy.typing import NDArray

from ..limits import blocks
from ..storage.vectors import VectorMap
from .matches import PICK_BYTES, ROUNDING, Matches
from .scans import scan, scan_rows
from .views import View


def ann_matches(
    view: View, queries: NDArray[np.float32], k: int, *, max_candidates: int, threads: int
) -> Matches | None:
    """Score the candidates of the view's ANN graph, and scan the rows that it lacks; else as `scan`.

    None where there is no ANN graph, or so few rows are alive that a scan of them is better.
    """
    ann = view.ann
    if ann is None:
        return None
    needed = ann.scheme.candidates(k)
    # More, so that enough are left without those that are not alive.
    count = needed if view.live == view.rows else math.ceil(1.2 * needed * view.rows / max(view.live, 1))
    while count <= max(max_candidates, needed):
        candidates, covered = ann.search(queries, count, threads=threads)
        if candidates.shape[1] < count:
            return None
        covered = min(covered, view.rows)
        # The ANN graph grows: it may hold rows that this view does not know, or that are scanned below.
        candidates[candidates >= covered] = -1
        candidates[~view.alive[candidates]] = -1
        if np.count_nonzero(candidates >= 0, axis=1).min() >= needed:
            break
        count *= 2
    else:
        return None
    parts = [score_candidates(view.vectors, queries, candidates, k)]
    strays = ann.strays[ann.strays < covered]
    strays = strays[view.alive[strays]]
    if len(strays):
        parts.append(scan_rows(view.vectors, queries, k, strays))
    if covered < view.rows:
        parts.append(scan(view.vectors, queries, k, start=covered, end=view.rows, eligible=view.alive[covered:]))
    return parts[0] if len(parts) == 1 else Matches.concatenated(parts).distinct()


def score_candidates(
    vectors: VectorMap, queries: NDArray[np.float32], candidates: NDArray[np.int64], k: int
) -> Matches:
    """Compare each query with its own candidates, rows int64 [n, m] with -1 for none; else as `scan`."""
    count = candidates.shape[1]
    if count == 0:
        return Matches.empty()
    scores = np.empty(candidates.shape, np.float32)
    for first, last in blocks(0, len(candidates), PICK_BYTES // (4 * count * queries.shape[1])):
        rows = vectors.take(np.maximum(candidates[first:last], 0))
        np.matmul(rows, queries[first:last, :, None], out=scores[first:last, :, None])
    scores[candidates < 0] = -np.inf
    kth = np.partition(scores, -k, axis=1)[:, -k] if count > k else np.full(len(candidates), -np.inf, np.float32)
    floor = np.maximum(kth - ROUNDING, np.float32(-2))
    of_query, columns = np.divmod(np.flatnonzero(scores >= floor[:, None]), count)
    return Matches(of_query, candidates[of_query, columns], scores[of_query, columns])
