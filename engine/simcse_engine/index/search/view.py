"""One state of an index, and the search in it."""

import math
import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..ann.neighbours import Neighbours
from ..storage.records import Reader, State
from ..storage.vectors import VectorMap
from ..storage.where import Condition
from .nearest import Found, scan, scan_rows, scored, settle


@dataclass(frozen=True, kw_only=True)
class SearchLimits:
    """The sizes that an index works to.

    Attributes:
        exact_rows: up to so many vectors are compared one by one, and half as many that a filter chose, as those are
            copied to be compared; there is no graph before.
        absorb_rows: the graph takes in new vectors when there are so many; until then each search scans them.
        absorb_share: or this share of what is in the graph, whichever is more.
        save_share: the graph is saved when it has grown by this share since, as long as that is `absorb_rows`.
        most_candidates: where a filter would need more candidates than this, its subset is scanned.
        window_texts: texts that `Index.add` commits at once.
        group_queries: queries that are searched at once.
        masks: filters whose result is remembered.
    """

    exact_rows: int = 20_000
    absorb_rows: int = 4096
    absorb_share: float = 1 / 256
    save_share: float = 1 / 8
    most_candidates: int = 1024
    window_texts: int = 4096
    group_queries: int = 256
    masks: int = 8


@dataclass(frozen=True, kw_only=True)
class View:
    """What one transaction sees; nothing in it changes, but that the graph may grow.

    Attributes:
        state: the database's.
        alive: bool [rows], which rows hold an entry.
        live: how many do.
        vectors: the first rows of the vector file.
        graph: candidates, of this generation; None where there is none.
    """

    state: State
    alive: NDArray[np.bool_]
    live: int
    vectors: VectorMap
    graph: Neighbours | None

    @property
    def rows(self) -> int:
        """How many rows there are, dead ones too."""
        return self.state.rows


def nearest(
    view: View,
    queries: NDArray[np.float32],
    k: int,
    *,
    chosen: NDArray[np.bool_] | None,
    exact: bool | None,
    threshold: float | None,
    limits: SearchLimits,
    threads: int,
) -> Found:
    """The k nearest rows of each query.

    Args:
        view: where to search.
        queries: float32 [n, dimension], unit vectors.
        k: how many.
        chosen: bool [rows], which rows may be found; None for all that are alive.
        exact: True compares every vector; False asks the graph, where there is one; None decides by size.
        threshold: least score.
        limits: the sizes to work to.
        threads: how many to use.

    Returns:
        Best first within each query; more than k where the k-th's score is shared.
    """
    alive = view.alive if chosen is None else view.alive & chosen
    live = view.live if chosen is None else int(np.count_nonzero(alive))
    few = limits.exact_rows if chosen is None else limits.exact_rows // 2
    found = None
    if view.graph is not None and not exact and (exact is False or live > few):
        found = _by_graph(view, view.graph, queries, k, alive, live, limits, threads)
    if found is None:
        found = scan(view.vectors, queries, k, start=0, end=view.rows, chosen=alive)
    return settle(found, view.vectors, queries, k, threshold)


def _by_graph(
    view: View,
    graph: Neighbours,
    queries: NDArray[np.float32],
    k: int,
    alive: NDArray[np.bool_],
    live: int,
    limits: SearchLimits,
    threads: int,
) -> Found | None:
    """Candidates from the graph, scored, and a scan of what the graph lacks; None where a scan of all is better."""
    wanted = graph.scheme.candidates(k)
    # So many that enough are left when those that may not be found are taken out.
    asked = wanted if live == view.rows else math.ceil(1.2 * wanted * view.rows / max(live, 1))
    while asked <= max(limits.most_candidates, wanted):
        rows, covered = graph.search(queries, asked, threads=threads)
        if rows.shape[1] < asked:
            return None
        # A graph that grows may know rows that this view does not, or that are scanned below.
        rows[rows >= min(view.rows, covered)] = -1
        rows[~alive[rows]] = -1
        if np.count_nonzero(rows >= 0, axis=1).min() >= wanted:
            start = min(covered, view.rows)
            found = [scored(view.vectors, queries, rows, k)]
            strays = graph.strays[graph.strays < start]
            strays = strays[alive[strays]]
            if len(strays):
                found.append(scan_rows(view.vectors, queries, k, strays))
            if start < view.rows:
                found.append(scan(view.vectors, queries, k, start=start, end=view.rows, chosen=alive[start:]))
            return found[0] if len(found) == 1 else Found.joined(found).distinct()
        asked *= 2
    return None


class Masks:
    """Which rows fulfil a filter, remembered: rows never change, so a later state needs a look at later rows alone."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._known: OrderedDict[Condition, tuple[State, NDArray[np.bool_]]] = OrderedDict()

    def find(self, condition: Condition, view: View, reader: Reader) -> NDArray[np.bool_]:
        """bool [rows]; rows that are dead in ``view`` may be either."""
        with self._lock:
            state, mask = self._known.get(condition, (None, np.zeros(0, np.bool_)))
        now = view.state
        # The mask of a later state lacks what died since this one.
        older = state is not None and state.generation == now.generation
        usable = older and state is not None and state.deaths <= now.deaths and state.rows <= now.rows
        known = len(mask) if usable else 0
        if usable and known == now.rows:
            return mask
        found = np.zeros(now.rows, np.bool_)
        found[:known] = mask[:known]
        found[reader.matching(condition, known, now.rows)] = True
        with self._lock:
            self._known[condition] = (now, found)
            self._known.move_to_end(condition)
            while len(self._known) > self._size:
                self._known.popitem(last=False)
        return found
