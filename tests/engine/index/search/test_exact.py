"""Exact search by codes against the slow way."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from simcse_engine.index.search import exact
from simcse_engine.index.search.code_scan import scan_codes
from simcse_engine.index.search.codes import BLOCK_ROWS, Codes
from simcse_engine.index.search.cosines import rescore
from simcse_engine.index.search.exact import exact_pairs
from simcse_engine.index.search.kernels import search_kernels
from simcse_engine.index.search.team import Team
from simcse_engine.index.search.views import View
from simcse_engine.index.storage.records import State
from simcse_engine.machine.kernels import NONE, VARIABLE
from support.indexes import nearest_keys, rows_by_query, stored, unit_vectors
from support.ways import WAYS

ROWS = 3 * BLOCK_ROWS + 100


@pytest.fixture(autouse=True, params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """By codes, in each variant of our kernels; and without these, by vectors."""
    monkeypatch.setenv(VARIABLE, request.param)
    monkeypatch.setattr(exact, "_LEAST_ROWS", 1)
    return request.param


def view_of(folder: Path, vectors: NDArray[np.float32]) -> View:
    state = State(generation=1, rows=len(vectors), deaths=0, next_key=0, graph=None)
    alive, codes = np.ones(len(vectors), np.bool_), Codes(vectors.shape[1])
    return View(state=state, alive=alive, live=len(vectors), vectors=stored(folder, vectors), codes=codes, ann=None)


def best_of(view: View, queries: NDArray[np.float32], k: int, threads: int = 2, start: int = 0) -> list[list[int]]:
    pairs = exact_pairs(view, queries, k, team=Team(threads), start=start)
    matches = rescore(pairs, view.vectors, queries, k, None, threads=threads)
    return rows_by_query(matches.at(np.argsort(matches.rows)).ordered(), len(queries))


@pytest.mark.parametrize(("queries", "k"), [(1, 1), (1, 10), (3, 5), (6, 3), (7, 3), (70, 10), (9, 40), (2, ROWS)])
def test_the_nearest(tmp_path: Path, queries: int, k: int) -> None:
    vectors, asked = unit_vectors(ROWS), unit_vectors(queries, 1)
    for threads in (1, 2):
        assert best_of(view_of(tmp_path, vectors), asked, k, threads) == nearest_keys(vectors, asked, k)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.05, 0.4, 0.7, 0.99])
@pytest.mark.parametrize("start", [0, 700, BLOCK_ROWS, ROWS - 50])
def test_only_what_is_alive_from_a_row_on(tmp_path: Path, share: float, start: int) -> None:
    vectors, asked = unit_vectors(ROWS), unit_vectors(12, 1)
    view = view_of(tmp_path, vectors).restricted_to(np.random.default_rng(2).random(ROWS) < share)
    # A whole block without any, so that it is never coded.
    view = view.restricted_to(np.arange(ROWS) // BLOCK_ROWS != 1)
    rows = np.flatnonzero(view.alive[start:]) + start
    expected = [rows[keys].tolist() for keys in nearest_keys(vectors[rows], asked, 10)]
    assert best_of(view, asked, 10, start=start) == expected


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.integers(1, 3 * BLOCK_ROWS),
    dimension=st.sampled_from([1, 2, 31, 64, 65, 200]),
    spread=st.sampled_from([1, 1e-2, 1e-4, 1e-6, 0]),
    outlying=st.sampled_from([0, 3, 300]),
    k=st.sampled_from([1, 2, 10, 17, 40]),
    queries=st.sampled_from([1, 5, 7, 20]),
    seed=st.integers(0, 999),
)
def test_vectors_of_any_kind(
    tmp_path_factory: pytest.TempPathFactory,
    rows: int,
    dimension: int,
    spread: float,
    outlying: float,
    k: int,
    queries: int,
    seed: int,
) -> None:
    """In clusters down to one point, with a dimension that is far larger than the others: no better row is left out."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((3, dimension))
    drawn = centres[random.integers(0, 3, rows + queries)] + spread * random.standard_normal(
        (rows + queries, dimension)
    )
    drawn[:, 0] += outlying
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    vectors, asked = drawn[:rows].astype(np.float32), drawn[rows:].astype(np.float32)
    exact = vectors.astype(np.float64)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    scores = (asked / np.linalg.norm(asked.astype(np.float64), axis=1, keepdims=True)) @ exact.T
    view = view_of(tmp_path_factory.mktemp("v"), vectors)
    for found, every in zip(best_of(view, asked, k), scores, strict=True):
        best = np.sort(every)[::-1][: min(k, rows)]
        assert len(found) >= len(best)
        # Scores are rounded to float32, so that rows nearer than that to each other may change places.
        np.testing.assert_allclose(every[found][: len(best)], best, rtol=0, atol=1.2e-7)


def test_all_that_share_the_last_score_are_found(tmp_path: Path) -> None:
    vectors = unit_vectors(ROWS)
    vectors[::5] = vectors[0]
    found = best_of(view_of(tmp_path, vectors), vectors[:1], 3)
    assert sorted(found[0]) == list(range(0, ROWS, 5))


@pytest.mark.parametrize("order", [1, -1])
def test_rising_and_falling_scores(tmp_path: Path, order: int) -> None:
    vectors, asked = unit_vectors(ROWS), unit_vectors(4, 1)
    vectors = vectors[np.argsort(order * (vectors @ asked[0]))]
    assert best_of(view_of(tmp_path, vectors), asked, 7) == nearest_keys(vectors, asked, 7)


def close_together() -> NDArray[np.float32]:
    """Nearer to each other than a code's step, beside a row that makes the step large."""
    centre = unit_vectors(1)
    vectors = centre + 1e-2 * unit_vectors(ROWS, 1)
    vectors[::BLOCK_ROWS] = -centre
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_scores_that_codes_cannot_tell_apart(tmp_path: Path) -> None:
    vectors, asked = close_together(), unit_vectors(5, 2)
    assert best_of(view_of(tmp_path, vectors), asked, 10) == nearest_keys(vectors, asked, 10)


def test_what_codes_cannot_tell_apart_is_given_up(tmp_path: Path, way: str) -> None:
    if way == NONE:
        pytest.skip("no codes without kernels")
    view, blocks = view_of(tmp_path, np.tile(close_together(), (8, 1))), 8 * ROWS // BLOCK_ROWS
    kernels, coded = search_kernels(), view.codes.of(view.vectors, np.ones(blocks, np.bool_), Team(1))
    assert kernels is not None
    everything = np.ones(blocks * BLOCK_ROWS, np.bool_)
    assert scan_codes(kernels, [coded], unit_vectors(5, 2), 10, eligible=everything, threads=1) is None


@pytest.mark.parametrize("k", [1, 3])
def test_last_rows_that_are_alike_do_not_end_the_scan(tmp_path: Path, way: str, k: int) -> None:
    vectors = unit_vectors(ROWS)
    vectors[3 * BLOCK_ROWS :] = vectors[-1]
    view = view_of(tmp_path, vectors)
    asked = np.concatenate([vectors[-1:], unit_vectors(2, 1)])
    best = best_of(view, asked, k)
    assert best[0] == list(range(3 * BLOCK_ROWS, ROWS))
    assert best[1:] == nearest_keys(vectors, asked[1:], k)
    kernels = search_kernels()
    if kernels is not None:
        parts = [view.codes.of(view.vectors, np.ones(3, np.bool_), Team(1)), view.codes.tail(view.vectors)]
        found = scan_codes(kernels, parts, asked, k, eligible=view.alive, threads=1)
        assert found is not None
        assert len(found.rows) < ROWS
    else:
        assert way == NONE


def test_a_vector_that_is_no_number_hides_no_other(tmp_path: Path) -> None:
    vectors, asked = unit_vectors(ROWS), unit_vectors(3, 1)
    vectors[BLOCK_ROWS + 5] = np.nan
    vectors[ROWS - 3] = np.inf
    alive = np.isfinite(vectors).all(axis=1)
    view = view_of(tmp_path, vectors)
    with np.errstate(invalid="ignore"):
        best = best_of(view, asked, 10)
        restricted = best_of(view.restricted_to(alive), asked, 10)
    rows = np.flatnonzero(alive)
    expected = [rows[keys].tolist() for keys in nearest_keys(vectors[rows], asked, 10)]
    assert restricted == expected
    assert [[row for row in found if alive[row]] for found in best] == expected


def test_a_vector_of_many_dimensions_finds_itself(tmp_path: Path) -> None:
    # Added up in float32, half of the small numbers of the first are lost beside the large one, and none of the second.
    dimension = 4096
    same = np.full(dimension, 1.7e-4)
    same[0] = 1
    other = same.copy()
    other[np.flatnonzero(np.arange(dimension) % 4 == 0)[1:600]] = 0
    vectors = unit_vectors(BLOCK_ROWS, 0, dimension)
    vectors[7], vectors[150] = same / np.linalg.norm(same), other / np.linalg.norm(other)
    assert best_of(view_of(tmp_path, vectors), vectors[7:8], 1) == [[7]]


def test_few_rows_need_no_codes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    monkeypatch.setattr(exact, "_LEAST_ROWS", 160)
    vectors, asked = unit_vectors(ROWS), unit_vectors(3, 1)

    class NoCodes(Codes):
        def of(self, *_: object) -> None:
            raise AssertionError("codes are made")

    view = dataclasses.replace(view_of(tmp_path, vectors), codes=NoCodes(vectors.shape[1]))
    few = view.restricted_to(np.arange(ROWS) < 150)
    assert best_of(few, asked, 5) == nearest_keys(vectors[:150], asked, 5)
    if way != NONE:
        with pytest.raises(AssertionError, match="codes are made"):
            best_of(view, asked, 5)


def test_rows_far_apart_are_compared_without_the_codes_of_those_between(tmp_path: Path) -> None:
    vectors, asked = unit_vectors(ROWS), unit_vectors(3, 1)
    view, every = view_of(tmp_path, vectors), np.ones(3, np.bool_)
    rows = np.arange(0, ROWS, 20)
    apart = view.restricted_to(np.isin(np.arange(ROWS), rows))
    expected = [rows[keys].tolist() for keys in nearest_keys(vectors[rows], asked, 5)]
    assert best_of(apart, asked, 5) == expected
    assert view.codes.missing(every) == 3
    # Where they are there already, they are used.
    view.codes.of(view.vectors, every, Team(1))
    assert best_of(apart, asked, 5) == expected


def test_rows_that_are_added_are_found_beside_those_that_are_coded(tmp_path: Path) -> None:
    vectors, asked = unit_vectors(ROWS), unit_vectors(8, 1)
    codes = Codes(vectors.shape[1])
    stored(tmp_path, vectors)
    for rows in (100, 150, BLOCK_ROWS, BLOCK_ROWS + 1, 2 * BLOCK_ROWS + 90, 2 * BLOCK_ROWS + 20, ROWS, 120):
        state = State(generation=1, rows=rows, deaths=0, next_key=0, graph=None)
        alive, first = np.ones(rows, np.bool_), stored(tmp_path, vectors[:rows])
        view = View(state=state, alive=alive, live=rows, vectors=first, codes=codes, ann=None)
        assert best_of(view, asked, 10) == nearest_keys(vectors[:rows], asked, 10)
