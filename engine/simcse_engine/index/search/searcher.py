"""Searcher: from unit vectors to hits."""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ...errors import IndexDamagedError, InputTypeError
from ...inputs import checked_count, checked_number, python_value
from ..limits import SearchLimits, blocks
from ..storage.records import State
from ..storage.transactions import Reader
from ..storage.where import Condition, compile_where
from .candidates import ann_matches
from .matches import Matches, rescore
from .scans import scan
from .views import View, Views


class Hit(NamedTuple):
    """An entry that a search found.

    Attributes:
        key: the entry's.
        score: cosine of the two vectors, from -1 to 1.
        text: the entry's.
        metadata: the entry's; None if it has none.
    """

    key: int
    score: float
    text: str
    metadata: dict[str, Any] | None


# Its public address: pickles and `repr` do not depend on which file it stands in.
Hit.__module__ = "simcse_engine.index"


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """What a search is asked for; `Index.search` explains each."""

    k: int
    threshold: float | None = None
    condition: Condition | None = None
    exact: bool | None = None

    @classmethod
    def checked(cls, k: object, threshold: object, where: Mapping[str, Any] | None, exact: object) -> Self:
        """Check the arguments of `Index.search`."""
        if k is None:
            raise InputTypeError("k=None: expected a whole number")
        count = checked_count("k", k, 0)
        least = None if threshold is None else checked_number("threshold", threshold)
        exact = python_value(exact)
        if exact is not None and not isinstance(exact, bool):
            raise InputTypeError(f"exact={exact!r}: expected True, False or None")
        condition = None if where is None else compile_where(where)
        return cls(k=count, threshold=least, condition=condition, exact=exact)


class Searcher:
    """The search in an index; may be used from many threads at once."""

    def __init__(self, views: Views, limits: SearchLimits) -> None:
        self._views = views
        self._limits = limits
        self.after_fork()

    def after_fork(self) -> None:
        """In a forked child: another thread may have held the masks' lock."""
        self._masks = Masks(self._limits.masks)

    def search(self, queries: NDArray[np.float32], options: SearchOptions) -> list[list[Hit]]:
        """The hits of each query, float32 [n, dimension], unit vectors."""
        hits: list[list[Hit]] = []
        for first, last in blocks(0, len(queries), self._limits.group_queries):
            group = queries[first:last]
            with self._views.reading(ann=not options.exact) as (reader, view):
                mask = None if options.condition is None else self._masks.mask_of(options.condition, view, reader)
                hits += _hits(reader, self.nearest(view, mask, group, options), len(group), options.k)
        return hits

    def nearest(
        self, view: View, mask: NDArray[np.bool_] | None, queries: NDArray[np.float32], options: SearchOptions
    ) -> Matches:
        """The nearest rows, as `rescore` has them, from an exact scan or from the ANN graph's candidates.

        docs/decisions/018-exact-or-graph.md has the sizes that decide.
        """
        k = min(options.k, max(view.live, 1))
        exact_rows = self._limits.exact_rows
        if mask is not None:
            view, exact_rows = view.restricted_to(mask), exact_rows // 2
        matches = None
        if not options.exact and (options.exact is False or view.live > exact_rows):
            limit, threads = self._limits.max_candidates, self._views.threads
            matches = ann_matches(view, queries, k, max_candidates=limit, threads=threads)
        if matches is None:
            matches = scan(view.vectors, queries, k, start=0, end=view.rows, eligible=view.alive)
        return rescore(matches, view.vectors, queries, k, options.threshold)


def _hits(reader: Reader, matches: Matches, queries: int, k: int) -> list[list[Hit]]:
    """Read the entries of matches: for each query at most k hits, best first, equal scores by key."""
    rows = np.unique(matches.rows)
    records = {record.row: record for record in reader.records(rows.tolist())}
    for row in rows.tolist():
        if row not in records:
            raise IndexDamagedError(f"{reader.path}: vector {row} has no entry; restore the database from a backup")
    keys = np.array([records[row].key for row in rows.tolist()], np.uint64)
    # In arrays, as thousands of equal texts may share the k-th score; the lowest keys of them are the hits.
    order = np.lexsort((keys[np.searchsorted(rows, matches.rows)], -matches.scores, matches.queries))
    of_query = matches.queries[order]
    best = matches.at(order[np.arange(len(order)) - np.searchsorted(of_query, of_query) < k])
    hits: list[list[Hit]] = [[] for _ in range(queries)]
    for query, row, score in zip(best.queries.tolist(), best.rows.tolist(), best.scores.tolist(), strict=True):
        key, text, metadata = records[row].entry()
        hits[query].append(Hit(key, score, text, metadata))
    return hits


class Masks:
    """Which rows pass the latest filters. Rows never change, so a later state needs a look at its new rows alone."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._masks: OrderedDict[Condition, tuple[State, NDArray[np.bool_]]] = OrderedDict()

    def mask_of(self, condition: Condition, view: View, reader: Reader) -> NDArray[np.bool_]:
        """The rows that pass the filter, bool [rows]; those that are dead in ``view`` may be either."""
        state = view.state
        with self._lock:
            earlier, mask = self._masks.get(condition, (state, np.zeros(0, np.bool_)))
        # The mask of a later state lacks what died since this one.
        if earlier.generation != state.generation or earlier.deaths > state.deaths or earlier.rows > state.rows:
            mask = mask[:0]
        known = len(mask)
        if known == state.rows:
            return mask
        extended = np.zeros(state.rows, np.bool_)
        extended[:known] = mask
        extended[reader.matching(condition, known, state.rows)] = True
        with self._lock:
            self._masks[condition] = (state, extended)
            self._masks.move_to_end(condition)
            while len(self._masks) > self._size:
                self._masks.popitem(last=False)
        return extended
