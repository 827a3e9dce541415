"""Keyword matches: the rows that hold a query's words, ranked by BM25."""

from collections.abc import Sequence

import numpy as np

from ...errors import IndexDamagedError
from ..storage.transactions import Reader
from .matches import Matches
from .views import View


def keyword_matches(reader: Reader, view: View, words: Sequence[str], k: int, most: int) -> Matches:
    """The k rows of each query, a text, with the best scores; more where several share the k-th.

    ``view`` is of the state that ``reader`` sees; ``most`` as for `find_keywords`.
    """
    parts = []
    for query, text in enumerate(words):
        rows, scores = reader.find_keywords(text, most)
        if len(rows) and not (rows.min() >= 0 and rows.max() < view.rows):
            raise IndexDamagedError(f"{reader.path}: the index of its words names rows that never were")
        eligible = view.alive[rows]
        rows, scores = rows[eligible], scores[eligible]
        if len(rows) > k:
            best = scores >= np.partition(scores, -k)[-k]
            rows, scores = rows[best], scores[best]
        parts.append(Matches(np.full(len(rows), query), rows, scores))
    return Matches.concatenated(parts)
