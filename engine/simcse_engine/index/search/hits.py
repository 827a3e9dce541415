"""Hits: the entries of matches, as callers see them."""

from typing import Any, NamedTuple

import numpy as np

from ...errors import IndexDamagedError
from ..storage.transactions import Reader
from .matches import Matches


class Hit(NamedTuple):
    """An entry that a search found.

    Attributes:
        key: the entry's: an int, a str or a UUID, as all keys of the index.
        score: cosine of the two vectors, from -1 to 1.
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
    rows = np.unique(matches.rows)
    records = {record.row: record for record in reader.records(rows.tolist())}
    for row in rows.tolist():
        if row not in records:
            raise IndexDamagedError(f"{reader.path}: vector {row} has no entry; restore the database from a backup")
    keys = reader.keys.ranks([records[row].key for row in rows.tolist()])
    # In arrays, as thousands of equal texts may share the k-th score; the lowest keys of them are the hits.
    order = np.lexsort((keys[np.searchsorted(rows, matches.rows)], -matches.scores, matches.queries))
    of_query = matches.queries[order]
    best = matches.at(order[np.arange(len(order)) - np.searchsorted(of_query, of_query) < k])
    hits: list[list[Hit]] = [[] for _ in range(queries)]
    for query, row, score in zip(best.queries.tolist(), best.rows.tolist(), best.scores.tolist(), strict=True):
        key, text, metadata = records[row].entry()
        hits[query].append(Hit(key, score, text, metadata))
    return hits
