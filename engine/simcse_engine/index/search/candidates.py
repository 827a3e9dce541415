"""Candidates: rows that the ANN graph proposes, to be compared with the query by their own vectors."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ...errors import IndexDamagedError
from ..ann.graph import AnnGraph
from .exact import exact_pairs
from .pairs import Pairs, distinct, joined
from .scans import scan_rows
from .team import Team
from .views import View


def ann_pairs(
    view: View,
    queries: NDArray[np.float32],
    k: int,
    *,
    max_candidates: int,
    team: Team,
    drop: Callable[[AnnGraph, IndexDamagedError], None],
) -> Pairs:
    """The candidates of the view's ANN graph, and the `exact_pairs` of the rows that it lacks.

    A query that finds too few candidates that are alive is asked again for more; one that would need more than
    ``max_candidates`` is searched for exactly. So are all where there is no ANN graph, or one that turns out to be
    damaged, which is handed to ``drop``.
    """
    ann = view.ann
    if ann is None or not view.live:
        return exact_pairs(view, queries, k, team=team)
    needed = ann.scheme.candidates(k)
    # More, so that enough are left without those that are not alive.
    count = needed if view.live == view.rows else math.ceil(1.2 * needed * view.rows / max(view.live, 1))
    asked, covered = np.arange(len(queries)), view.rows
    parts: list[Pairs] = []
    while len(asked) and count <= max(max_candidates, needed):
        try:
            candidates, known = ann.search(queries[asked], count, threads=team.threads)
        except IndexDamagedError as error:
            drop(ann, error)
            return exact_pairs(view, queries, k, team=team)
        if candidates.shape[1] < count:
            break
        # The ANN graph grows: it may hold rows that this view does not know, or that are searched below.
        covered = min(covered, known)
        candidates[candidates >= covered] = -1
        candidates[~view.alive[candidates]] = -1
        enough = np.count_nonzero(candidates >= 0, axis=1) >= needed
        of_query, columns = np.nonzero((candidates >= 0) & enough[:, None])
        parts.append(Pairs(asked[of_query], candidates[of_query, columns]))
        asked, count = asked[~enough], 2 * count
    if parts:
        strays = ann.strays  # once: whoever lets the graph grow replaces them
        strays = strays[strays < covered]
        strays = strays[view.alive[strays]]
        if len(strays):
            parts.append(scan_rows(view.vectors, queries, k, strays))
        if covered < view.rows:
            parts.append(exact_pairs(view, queries, k, team=team, start=covered))
    if len(asked):
        parts.append(exact_pairs(view, queries[asked], k, team=team).of(asked))
    return parts[0] if len(parts) == 1 else distinct(joined(parts))
