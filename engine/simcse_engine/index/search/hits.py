"""Hits: the entries of matches, as callers see them."""

import functools
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..storage.keys import KeyKind
from .known import KnownEntry, own_metadata
from .matches import Matches


class Hit(NamedTuple):
    """An entry that a search found.

    Attributes:
        key: the entry's: an int, a str or a UUID, as all keys of the index.
        score: higher is better. By ``mode`` of the search: the cosine of the two vectors, from -1 to 1 ("vector", the
            default); BM25 of the query's words, above 0 ("keywords"); the sum over both rankings of a fraction that
            falls with the rank, as `search.fusion.fused` has it ("hybrid"). Scores of two modes do not compare.
        text: the entry's.
        metadata: the entry's; None if it has none.
    """

    key: Any
    score: float
    text: str
    metadata: dict[str, Any] | None


# Its public address: pickles and `repr` do not depend on which file it stands in.
Hit.__module__ = "simcse_engine.index"
# As `Hit._make`, in half the time.
_hit = functools.partial(tuple.__new__, Hit)


def read_hits(entries: Sequence[KnownEntry], matches: Matches, keys: KeyKind, queries: int, k: int) -> list[list[Hit]]:
    """For each query at most k hits, best first, equal scores by key; ``entries`` are those of the matches."""
    best = np.arange(len(entries))
    if not matches.strictly_ordered():
        ranks = keys.ranks([entry.key for entry in entries])
        best = np.lexsort((ranks, -matches.scores, matches.queries))
    # Thousands of equal texts may share the k-th score; the lowest keys of them are the hits.
    of_query = matches.queries[best]
    best = best[np.arange(len(best)) - np.searchsorted(of_query, of_query) < k]
    chosen = [entries[place] for place in best.tolist()]
    scores = matches.scores[best].tolist()
    columns = ([entry.key for entry in chosen], scores, [entry.text for entry in chosen], own_metadata(chosen))
    hits = list(map(_hit, zip(*columns, strict=True)))
    ends = np.searchsorted(matches.queries[best], np.arange(queries + 1)).tolist()
    return [hits[first:last] for first, last in itertools.pairwise(ends)]
