"""Final scores."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcse_engine.index.search.candidates import score_candidates
from simcse_engine.index.search.matches import rescore
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
