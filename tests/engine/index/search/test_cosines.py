"""Cosines, and the best by them."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simcse_engine.errors import IndexDamagedError
from simcse_engine.index.search.cosines import cosines, rescore
from simcse_engine.index.search.pairs import Pairs
from simcse_engine.index.search.scans import scan
from simcse_engine.machine.kernels import VARIABLE
from support.indexes import stored, unit_vectors
from support.ways import WAYS


@pytest.fixture(autouse=True, params=WAYS)
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, request.param)


@pytest.mark.parametrize("dimension", [1, 7, 8, 96, 383])
@pytest.mark.parametrize("threads", [1, 2])
def test_cosines(tmp_path: Path, dimension: int, threads: int) -> None:
    vectors, queries = unit_vectors(90, 0, dimension), 3 * unit_vectors(4, 1, dimension)
    of_query, rows = np.divmod(np.random.default_rng(2).permutation(4 * 90)[:311], 90)
    found = cosines(stored(tmp_path, vectors), queries, rows, of_query, threads=threads)
    exact, asked = vectors.astype(np.float64)[rows], queries.astype(np.float64)[of_query]
    lengths = np.linalg.norm(exact, axis=1) * np.linalg.norm(asked, axis=1)
    np.testing.assert_allclose(found, (exact * asked).sum(axis=1) / lengths, rtol=0, atol=6e-8)
    assert cosines(stored(tmp_path, vectors), queries, rows[:0], of_query[:0]).shape == (0,)


def test_an_altered_vector_has_no_cosine(tmp_path: Path) -> None:
    vectors = unit_vectors(9)
    path = stored(tmp_path, vectors).path
    content = bytearray(path.read_bytes())
    content[-40] ^= 1
    path.write_bytes(content)
    vector_map, rows = stored(tmp_path, vectors), np.arange(9)
    cosines(vector_map, vectors, rows[:8], rows[:8])
    # And never has, however often it is asked for.
    for _ in range(2):
        with pytest.raises(IndexDamagedError, match="vector 8 was altered"):
            cosines(vector_map, vectors, rows, rows)


def test_a_score_is_the_same_however_it_was_found(tmp_path: Path) -> None:
    vectors = unit_vectors(300)
    vectors[100:110] = vectors[5]
    vector_map = stored(tmp_path, vectors)
    all_matches = np.ones(300, np.bool_)
    scanned = rescore(
        scan(vector_map, vectors, 20, start=0, end=300, eligible=all_matches), vector_map, vectors, 20, None
    )
    every = Pairs(np.repeat(np.arange(300), 300), np.tile(np.arange(300)[::-1], 300))
    by_candidates = rescore(every, vector_map, vectors, 20, None, threads=2)
    one = rescore(
        scan(vector_map, vectors[5:6], 20, start=0, end=300, eligible=all_matches), vector_map, vectors[5:6], 20, None
    )
    for query in (5, 299):
        own, others = (found.at(found.queries == query) for found in (scanned, by_candidates))
        assert dict(zip(own.rows, own.scores, strict=True)) == dict(zip(others.rows, others.scores, strict=True))
    np.testing.assert_array_equal(scanned.scores, by_candidates.scores)
    np.testing.assert_array_equal(one.scores, scanned.scores[scanned.queries == 5])
    # Itself, and whoever is equal, at exactly 1.
    assert (one.scores[:11] == 1).all()
    assert set(one.rows[:11]) == {5, *range(100, 110)}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
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
