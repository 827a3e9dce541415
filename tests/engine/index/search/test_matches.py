"""Final scores."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcse_engine.index.search.candidates import score_candidates
from simcse_engine.index.search.matches import Matches, rescore
from simcse_engine.index.search.scans import scan
from support.indexes import stored, unit_vectors


def test_a_score_is_the_same_however_it_was_found(tmp_path: Path) -> None:
    vectors = unit_vectors(300)
    vectors[100:110] = vectors[5]
    vector_map = stored(tmp_path, vectors)
    all_matches = np.ones(300, np.bool_)
    scanned = rescore(
        scan(vector_map, vectors, 20, start=0, end=300, eligible=all_matches), vector_map, vectors, 20, None
    )
    rows = np.tile(np.arange(300), (300, 1))
    by_candidates = rescore(score_candidates(vector_map, vectors, rows, 20), vector_map, vectors, 20, None)
    one = rescore(
        scan(vector_map, vectors[5:6], 20, start=0, end=300, eligible=all_matches), vector_map, vectors[5:6], 20, None
    )
    assert dict(zip(scanned.rows[scanned.queries == 5], scanned.scores[scanned.queries == 5], strict=True)) == dict(
        zip(
            by_candidates.rows[by_candidates.queries == 5],
            by_candidates.scores[by_candidates.queries == 5],
            strict=True,
        )
    )
    np.testing.assert_array_equal(scanned.scores, by_candidates.scores)
    np.testing.assert_array_equal(one.scores, scanned.scores[scanned.queries == 5])
    # Itself, and whoever is equal, at exactly 1.
    assert (one.scores[:11] == 1).all()
    assert set(one.rows[:11]) == {5, *range(100, 110)}


@given(threshold=st.floats(-1, 1))
def test_threshold_is_inclusive(tmp_path_factory: pytest.TempPathFactory, threshold: float) -> None:
    vectors, queries = unit_vectors(40), unit_vectors(3, 1)
    vector_map = stored(tmp_path_factory.mktemp("v"), vectors)
    matches = scan(vector_map, queries, 40, start=0, end=40, eligible=np.ones(40, np.bool_))
    all_matches = rescore(matches, vector_map, queries, 40, None)
    above = rescore(matches, vector_map, queries, 40, threshold)
    assert above.rows.tolist() == all_matches.rows[all_matches.scores >= np.float32(threshold)].tolist()
    at = float(all_matches.scores[7])
    assert at in rescore(matches, vector_map, queries, 40, at).scores


@pytest.mark.parametrize("threshold", [1.5, 1e300, math.inf])
def test_a_threshold_may_be_any_number(tmp_path: Path, threshold: float) -> None:
    vectors, queries = unit_vectors(40), unit_vectors(3, 1)
    matches = scan(stored(tmp_path, vectors), queries, 40, start=0, end=40, eligible=np.ones(40, np.bool_))
    assert len(rescore(matches, stored(tmp_path, vectors), queries, 40, threshold).rows) == 0
    assert len(rescore(matches, stored(tmp_path, vectors), queries, 40, -threshold).rows) == 120


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
