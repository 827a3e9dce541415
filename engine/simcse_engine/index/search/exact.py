"""Exact search: by codes where our kernels run, else by the vectors themselves."""

import numpy as np
from numpy.typing import NDArray

from ..limits import blocks
from .code_scan import scan_codes
from .codes import BLOCK_ROWS
from .kernels import search_kernels
from .pairs import Pairs, joined
from .scans import scan
from .team import Team
from .views import View

# With fewer, all vectors are compared in the time in which codes are looked at.
_LEAST_ROWS = 1024
# To make a row's code takes as long as to compare its vector with so many queries. Rows of a filter that lie far apart
# are not worth the codes of all that lie between.
_ROWS_CODED_FOR_ONE = 16
# Of a scan by codes, so many scores at most are kept at once.
_MOST_KEPT = 1 << 24


def exact_pairs(view: View, queries: NDArray[np.float32], k: int, *, team: Team, start: int = 0) -> Pairs:
    """All rows from ``start`` on that are alive and may be among the k nearest of a query; more are for `rescore`."""
    alive = view.alive
    if start:
        alive = alive.copy()
        alive[:start] = False
    pairs = _by_codes(view, queries, k, alive, team)
    if pairs is not None:
        return pairs
    parts: list[Pairs] = []
    team.each(
        lambda span: parts.append(
            scan(view.vectors, queries, k, start=span[0], end=span[1], eligible=alive[span[0] : span[1]])
        ),
        blocks(start, view.rows, max(_LEAST_ROWS, -(-(view.rows - start) // team.threads))),
    )
    return joined(parts)


def _by_codes(view: View, queries: NDArray[np.float32], k: int, alive: NDArray[np.bool_], team: Team) -> Pairs | None:
    """The pairs by codes; None where these take longer than the vectors."""
    count, whole = np.count_nonzero(alive), view.rows // BLOCK_ROWS * BLOCK_ROWS
    kernels = search_kernels()
    if kernels is None or count < _LEAST_ROWS or k * len(queries) * team.threads > _MOST_KEPT:
        return None
    needed: NDArray[np.bool_] = np.logical_or.reduce(alive[:whole].reshape(-1, BLOCK_ROWS), axis=1)
    if view.codes.missing(needed) * BLOCK_ROWS > _ROWS_CODED_FOR_ONE * count:
        return None
    parts = [view.codes.of(view.vectors, needed, team)] if needed.any() else []
    if alive[whole:].any():
        # The others have given it a floor, so it leaves next to nothing.
        parts.append(view.codes.tail(view.vectors))
    return scan_codes(kernels, parts, queries, k, eligible=alive, threads=team.threads)
