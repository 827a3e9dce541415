"""The nearest rows: from an exact scan, or from the ANN graph's candidates (docs/decisions/018-exact-or-graph.md)."""

import numpy as np
from numpy.typing import NDArray

from ..limits import SearchLimits
from .candidates import ann_matches
from .matches import Matches, rescore
from .scans import scan
from .views import View


def find_nearest(
    view: View,
    queries: NDArray[np.float32],
    k: int,
    *,
    mask: NDArray[np.bool_] | None,
    exact: bool | None,
    threshold: float | None,
    limits: SearchLimits,
    threads: int,
) -> Matches:
    """Find the k nearest rows of each query.

    Args:
        view: the state to search.
        queries: float32 [n, dimension], unit vectors.
        k: how many.
        mask: bool [rows], the rows that pass the filter; None without a filter.
        exact: True compares every vector; False uses the ANN graph if there is one; None decides by size.
        threshold: least score.
        limits: the sizes to work to.
        threads: how many to use.

    Returns:
        Best first within each query; more than k where several share the k-th score.
    """
    exact_rows = limits.exact_rows
    if mask is not None:
        view, exact_rows = view.restricted_to(mask), exact_rows // 2
    matches = None
    if view.ann is not None and not exact and (exact is False or view.live > exact_rows):
        matches = ann_matches(view, view.ann, queries, k, max_candidates=limits.max_candidates, threads=threads)
    if matches is None:
        matches = scan(view.vectors, queries, k, start=0, end=view.rows, eligible=view.alive)
    return rescore(matches, view.vectors, queries, k, threshold)
