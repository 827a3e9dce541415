"""Reciprocal rank fusion."""

import numpy as np

from simcse_engine.index.search.fusion import fused, fusion_depth
from simcse_engine.index.search.matches import Matches


def ranking(*of_queries: dict[int, float]) -> Matches:
    pairs = [(query, row, score) for query, scores in enumerate(of_queries) for row, score in scores.items()]
    queries, rows, scores = zip(*pairs, strict=True)
    return Matches(np.array(queries), np.array(rows), np.array(scores, np.float32))


def as_dicts(matches: Matches) -> dict[tuple[int, int], float]:
    pairs = zip(matches.queries.tolist(), matches.rows.tolist(), strict=True)
    return dict(zip(pairs, matches.scores.tolist(), strict=True))


def test_ranks_are_summed_and_equal_scores_have_equal_ranks() -> None:
    first = ranking({7: 0.5, 3: 0.9, 4: 0.5, 9: 0.1}, {3: -1.0})
    second = ranking({9: 20.0, 3: 10.0})
    expected = {
        (0, 3): 1 / 3 + 1 / 4,
        (0, 4): 1 / 4,
        (0, 7): 1 / 4,
        (0, 9): 1 / 6 + 1 / 3,
        (1, 3): 1 / 3,
    }
    assert as_dicts(fused([first, second])) == {pair: float(np.float32(score)) for pair, score in expected.items()}


def test_of_nothing_is_nothing() -> None:
    assert len(fused([]).rows) == len(fused([Matches.empty(), Matches.empty()]).rows) == 0


def test_what_both_rank_behind_the_depth_is_not_among_the_best() -> None:
    for k in (1, 5, 49, 50, 1000):
        behind = fusion_depth(k) + 1
        assert behind > 100
        assert 2 / (2 + behind) < 1 / (2 + k)
