"""Fusion: several rankings of the same rows joined into one, by ranks alone, as their scores do not compare.

Reciprocal rank fusion: Cormack, Clarke and Büttcher, "Reciprocal rank fusion outperforms Condorcet and individual rank
learning methods", SIGIR 2009.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .matches import Matches

# What is added to each rank. That paper's 60 was chosen by queries with many answers each; where one item is sought,
# less finds more (docs/decisions/038-hybrid-search.md).
_OFFSET = 2
# Of each ranking at least. Among items that only one of them has high, the rank in the other decides, low as it may be.
_LEAST_DEPTH = 100


def fusion_depth(k: int) -> int:
    """How many of each of two rankings count for the k best of both.

    What either ranks k-th scores at least 1 / (2 + k), and what both rank behind the 2 + 2 k-th, less.
    """
    return max(_LEAST_DEPTH, _OFFSET + 2 * k)


def fused(rankings: Sequence[Matches]) -> Matches:
    """Every row of every query in any of the rankings, scored by the sum of 1 / (2 + its rank) over these.

    The first rank is 1, and equal scores have equal ranks.
    """
    pairs = Matches.concatenated(rankings)
    parts = np.concatenate([np.empty(0), *(1 / (_OFFSET + _ranks(ranking)) for ranking in rankings)])
    width = pairs.rows.max(initial=0) + 1
    distinct, places = np.unique(pairs.queries * width + pairs.rows, return_inverse=True)
    scores = np.bincount(places, parts, len(distinct)).astype(np.float32)
    queries, rows = np.divmod(distinct, width)
    return Matches(queries, rows, scores)


def _ranks(ranking: Matches) -> NDArray[np.int64]:
    """The rank of each match among those of its query, from 1 on."""
    order = np.lexsort((-ranking.scores, ranking.queries))
    queries, scores = ranking.queries[order], ranking.scores[order]
    places = np.arange(len(order))
    # Where another score begins, or another query; from there on the rank is the same until the next such place.
    begins = np.ones(len(order), np.bool_)
    begins[1:] = (queries[1:] != queries[:-1]) | (scores[1:] != scores[:-1])
    firsts = np.maximum.accumulate(np.where(begins, places, 0))
    ranks = np.empty(len(order), np.int64)
    ranks[order] = firsts - np.searchsorted(queries, queries) + 1
    return ranks
