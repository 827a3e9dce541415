"""Candidates: rows that the ANN graph proposes, compared with the query by their own vectors."""

import math

import numpy as np
from numpy.typing import NDArray

from ..limits import blocks
from ..storage.vectors import VectorMap
from .exact import exact_matches
from .matches import PICK_BYTES, Matches, rounding
from .scans import scan_rows
from .team import Team
from .views import View


def ann_matches(view: View, queries: NDArray[np.float32], k: int, *, max_candidates: int, team: Team) -> Matches:
    """Score the candidates of the view's ANN graph, and search the rows that it lacks exactly; else as `scan`.

    A query that finds too few candidates that are alive is asked again for more; one that would need more than
    ``max_candidates`` is searched for exactly, as all are where there is no ANN graph.
    """
    ann = view.ann
    if ann is None or not view.live:
        return exact_matches(view, queries, k, team=team)
    needed = ann.scheme.candidates(k)
    # More, so that enough are left without those that are not alive.
    count = needed if view.live == view.rows else math.ceil(1.2 * needed * view.rows / max(view.live, 1))
    asked, covered, parts = np.arange(len(queries)), view.rows, []
    while len(asked) and count <= max(max_candidates, needed):
        candidates, known = ann.search(queries[asked], count, threads=team.threads)
        if candidates.shape[1] < count:
            break
        # The ANN graph grows: it may hold rows that this view does not know, or that are searched below.
        covered = min(covered, known)
        candidates[candidates >= covered] = -1
        candidates[~view.alive[candidates]] = -1
        enough = np.count_nonzero(candidates >= 0, axis=1) >= needed
        parts.append(score_candidates(view.vectors, queries[asked[enough]], candidates[enough], k).of(asked[enough]))
        asked, count = asked[~enough], 2 * count
    if parts:
        strays = ann.strays[ann.strays < covered]
        strays = strays[view.alive[strays]]
        if len(strays):
            parts.append(scan_rows(view.vectors, queries, k, strays))
        if covered < view.rows:
            parts.append(exact_matches(view, queries, k, team=team, start=covered))
    if len(asked):
        parts.append(exact_matches(view, queries[asked], k, team=team).of(asked))
    return parts[0] if len(parts) == 1 else Matches.concatenated(parts).distinct()


def score_candidates(
    vectors: VectorMap, queries: NDArray[np.float32], candidates: NDArray[np.int64], k: int
) -> Matches:
    """Compare each query with its own candidates, rows int64 [n, m] with -1 for none; else as `scan`."""
    count = candidates.shape[1]
    if candidates.size == 0:
        return Matches.empty()
    scores = np.empty(candidates.shape, np.float32)
    for first, last in blocks(0, len(candidates), PICK_BYTES // (4 * count * queries.shape[1])):
        rows = vectors.take(np.maximum(candidates[first:last], 0))
        np.einsum("ijk,ik->ij", rows, queries[first:last], out=scores[first:last])
    scores[candidates < 0] = -np.inf
    kth = np.partition(scores, -k, axis=1)[:, -k] if count > k else np.full(len(candidates), -np.inf, np.float32)
    floor = np.maximum(kth - rounding(queries.shape[1]), np.float32(-2))
    of_query, columns = np.divmod(np.flatnonzero(scores >= floor[:, None]), count)
    return Matches(of_query, candidates[of_query, columns], scores[of_query, columns])
