"""Exact search: by codes where that is quicker, else by the vectors themselves."""

import numpy as np
from numpy.typing import NDArray

from ..limits import blocks
from .code_scan import scan_codes
from .codes import BLOCK_ROWS
from .matches import Matches
from .scans import scan
from .team import Team
from .views import View

# With fewer, all vectors are compared in the time in which codes are made and looked at.
_LEAST_ROWS = 4096
# To make a row's code takes as long as to compare its vector with so many queries. Rows of a filter that lie far apart
# are not worth the codes of all that lie between.
_ROWS_CODED_FOR_ONE = 16


def exact_matches(view: View, queries: NDArray[np.float32], k: int, *, team: Team, start: int = 0) -> Matches:
    """The nearest of the rows from ``start`` on that are alive; else as `scan`."""
    alive, whole = view.alive, view.rows // BLOCK_ROWS * BLOCK_ROWS
    if start:
        alive = alive.copy()
        alive[:start] = False
    count = np.count_nonzero(alive)
    needed: NDArray[np.bool_] = np.logical_or.reduce(alive[:whole].reshape(-1, BLOCK_ROWS), axis=1)
    if count >= _LEAST_ROWS and view.codes.missing(needed) * BLOCK_ROWS <= _ROWS_CODED_FOR_ONE * count:
        coded = view.codes.of(view.vectors, needed, team)
        matches = scan_codes(coded, view.vectors, queries, k, eligible=alive[:whole], team=team)
        if matches is not None:
            start = max(start, whole)
            rest = scan(view.vectors, queries, k, start=start, end=view.rows, eligible=alive[start:])
            return Matches.concatenated([matches, rest])
    parts: list[Matches] = []
    team.each(
        lambda span: parts.append(
            scan(view.vectors, queries, k, start=span[0], end=span[1], eligible=alive[span[0] : span[1]])
        ),
        blocks(start, view.rows, max(_LEAST_ROWS, -(-(view.rows - start) // team.threads))),
    )
    return Matches.concatenated(parts)
