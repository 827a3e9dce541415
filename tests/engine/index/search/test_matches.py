"""Matches."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simcse_engine.index.search.matches import Matches


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from([-np.inf, -1.0, -1e-40, -0.0, 0.0, 1e-40, 0.25, 0.5, 1.0])),
        max_size=60,
    )
)
def test_the_order_is_that_of_queries_and_falling_scores(pairs: list[tuple[int, float]]) -> None:
    queries = np.array([query for query, _ in pairs], np.int64)
    scores = np.array([score for _, score in pairs], np.float32)
    ordered = Matches(queries, np.arange(len(pairs)), scores).ordered()
    best = sorted(pairs, key=lambda pair: (pair[0], -pair[1]))
    assert ordered.queries.tolist() == [query for query, _ in best]
    np.testing.assert_array_equal(ordered.scores, np.array([score for _, score in best], np.float32))
    # The rows go with them.
    np.testing.assert_array_equal(scores[ordered.rows], ordered.scores)


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([-1.0, 0.0, 0.5, 1.0])), max_size=6))
def test_a_strict_order_has_no_equal_scores(pairs: list[tuple[int, float]]) -> None:
    matches = Matches(
        np.array([query for query, _ in pairs], np.int64),
        np.arange(len(pairs)),
        np.array([score for _, score in pairs], np.float32),
    )
    best = sorted(set(pairs), key=lambda pair: (pair[0], -pair[1]))
    assert matches.strictly_ordered() == (pairs == best)
