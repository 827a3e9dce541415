"""Searcher: from unit vectors to hits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ...errors import InputTypeError, InputValueError
from ...inputs import checked_choice, checked_count, checked_number, python_value
from ...wording import argument
from ..limits import SearchLimits, blocks
from ..storage.transactions import Reader
from ..storage.where import Condition, compile_where
from .candidates import ann_pairs
from .cosines import rescore
from .exact import exact_pairs
from .fusion import fused, fusion_depth
from .hits import Hit, read_hits
from .keyword_matches import keyword_matches
from .known import Known
from .masks import Masks
from .matches import Matches
from .queries import Mode, Queries
from .team import Team
from .views import View, Views


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """What a search is asked for; `Index.search` explains each."""

    k: int
    threshold: float | None = None
    condition: Condition | None = None
    exact: bool | None = None
    mode: Mode = "vector"

    @classmethod
    def checked(
        cls, k: object, threshold: object, where: Mapping[str, Any] | None, exact: object, mode: Mode = "vector"
    ) -> Self:
        """Check the arguments of `Index.search`."""
        checked_choice("mode", mode, Mode)
        if threshold is not None and mode != "vector":
            raise InputValueError(
                argument("threshold", threshold), " is of cosines, by which ", argument("mode", mode), " does not rank"
            )
        if k is None:
            raise InputTypeError("k=None: expected a whole number")
        count = checked_count("k", k, 0)
        least = None if threshold is None else checked_number("threshold", threshold)
        exact = python_value(exact)
        if exact is not None and not isinstance(exact, bool):
            raise InputTypeError(f"exact={exact!r}: expected True, False or None")
        condition = None if where is None else compile_where(where)
        return cls(k=count, threshold=least, condition=condition, exact=exact, mode=mode)


class Searcher:
    """The search in an index; may be used from many threads at once."""

    def __init__(self, views: Views, limits: SearchLimits) -> None:
        self._views = views
        self._limits = limits
        self._team = Team(views.threads)
        self.after_fork()

    def after_fork(self) -> None:
        """In a forked child: another thread may have held a lock."""
        self._masks = Masks(self._limits.masks)
        self._known = Known(self._limits.known_bytes)
        self._team.after_fork()

    def close(self) -> None:
        """End the threads."""
        self._team.close()

    def search(self, queries: Queries, options: SearchOptions) -> list[list[Hit]]:
        """The hits of each query."""
        hits: list[list[Hit]] = []
        ann = not options.exact and options.mode != "keywords"
        more_than = 0 if options.exact is False else self._limits.exact_rows
        for first, last in blocks(0, len(queries), self._limits.group_queries):
            group = queries.part(first, last)
            with self._team.searching(), self._views.reading(ann=ann, more_than=more_than) as (reader, view):
                mask = None if options.condition is None else self._masks.mask_of(options.condition, view, reader)
                best = self._best(reader, view, mask, group, options)
                entries = self._known.entries(reader, view.state.generation, best.rows.tolist())
                hits += read_hits(entries, best, reader.keys, len(group), options.k)
        return hits

    def _best(
        self, reader: Reader, view: View, mask: NDArray[np.bool_] | None, queries: Queries, options: SearchOptions
    ) -> Matches:
        """The best rows of each query, ranked as `SearchOptions.mode` says."""
        if options.mode == "vector":
            return self.nearest(view, mask, queries.vectors, options)
        self._views.check_keywords(reader)
        restricted, most = view if mask is None else view.restricted_to(mask), self._limits.keyword_rows
        if options.mode == "keywords":
            return keyword_matches(reader, restricted, queries.texts, options.k, most)
        deep = replace(options, k=fusion_depth(options.k))
        holding = keyword_matches(reader, restricted, queries.texts, deep.k, most)
        return fused([self.nearest(view, mask, queries.vectors, deep), holding])

    def passing(self, condition: Condition, view: View, reader: Reader) -> View:
        """The part of a view that passes a filter."""
        return view.restricted_to(self._masks.mask_of(condition, view, reader))

    def nearest(
        self, view: View, mask: NDArray[np.bool_] | None, queries: NDArray[np.float32], options: SearchOptions
    ) -> Matches:
        """The nearest rows, as `rescore` has them, from an exact search or from the ANN graph's candidates.

        docs/decisions/018-exact-or-graph.md has the sizes that decide.
        """
        k = min(options.k, max(view.live, 1))
        if mask is not None:
            view = view.restricted_to(mask)
        if options.exact or (options.exact is None and view.live <= self._limits.exact_rows):
            pairs = exact_pairs(view, queries, k, team=self._team)
        else:
            most, drop = self._limits.max_candidates, self._views.drop_ann
            pairs = ann_pairs(view, queries, k, max_candidates=most, team=self._team, drop=drop)
        return rescore(pairs, view.vectors, queries, k, options.threshold, threads=self._team.threads)
