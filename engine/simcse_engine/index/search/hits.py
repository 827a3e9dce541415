"""Hits: the entries of matches, as callers see them."""

import itertools
from typing import Any, NamedTuple

import numpy as np

from ...errors import IndexDamagedError
from ..storage.transactions import Reader
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


def read_hits(reader: Reader, matches: Matches, queries: int, k: int) -> list[list[Hit]]:
    """Read the entries of matches: for each query at most k hits, best first, equal scores by key."""
    rows, places = np.unique(matches.rows, return_inverse=True)
    found = reader.columns(rows.tolist())
    if len(found.rows) < len(rows):
        row = np.setdiff1d(rows, np.array(found.rows, np.int64))[0]
        raise IndexDamagedError(f"{reader.path}: vector {row} has no entry; restore the database from a backup")
    # In arrays, as thousands of equal texts may share the k-th score; the lowest keys of them are the hits.
    order = np.lexsort((reader.keys.ranks(found.keys)[places], -matches.scores, matches.queries))
    of_query = matches.queries[order]
    best = order[np.arange(len(order)) - np.searchsorted(of_query, of_query) < k]
    entries = found.at(places[best].tolist())
    hits = list(map(Hit, entries.keys, matches.scores[best].tolist(), entries.texts, entries.documents()))
    ends = np.searchsorted(matches.queries[best], np.arange(queries + 1)).tolist()
    return [hits[first:last] for first, last in itertools.pairwise(ends)]
