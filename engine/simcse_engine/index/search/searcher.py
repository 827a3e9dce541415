"""Searcher: from unit vectors to hits."""

import numpy as np
from numpy.typing import NDArray

from ..blocks import blocks
from ..limits import SearchLimits
from .hits import Hit, hits_of
from .masks import Masks
from .nearest import find_nearest
from .options import SearchOptions
from .views import Views


class Searcher:
    """The search in an index; may be used from many threads at once."""

    def __init__(self, views: Views, *, limits: SearchLimits, threads: int) -> None:
        self._views = views
        self._limits = limits
        self._threads = threads
        self._masks = Masks(limits.masks)

    def after_fork(self) -> None:
        """In a forked child: another thread may have held the masks' lock."""
        self._masks = Masks(self._limits.masks)

    def search(self, queries: NDArray[np.float32], options: SearchOptions) -> list[list[Hit]]:
        """Search for each query, float32 [n, dimension], unit vectors.

        Returns:
            For each query its hits, best first; equal scores by key.

        Raises:
            IndexDamagedError: a vector or entry was altered.
        """
        hits: list[list[Hit]] = []
        for first, last in blocks(0, len(queries), self._limits.group_queries):
            group = queries[first:last]
            with self._views.reading(ann=not options.exact) as (reader, view):
                mask = None if options.condition is None else self._masks.mask_of(options.condition, view, reader)
                matches = find_nearest(
                    view,
                    group,
                    min(options.k, max(view.live, 1)),
                    mask=mask,
                    exact=options.exact,
                    threshold=options.threshold,
                    limits=self._limits,
                    threads=self._threads,
                )
                hits += hits_of(reader, matches, len(group), options.k)
        return hits
