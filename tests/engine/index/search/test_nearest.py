"""Scans and candidates against the slow way."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcse_engine.index.search import nearest
from simcse_engine.index.search.nearest import Found, scan, scored, settle
from simcse_engine.index.storage.vectors import VectorMap, VectorWriter, create_vector_file
from support.indexes import nearest_keys, unit_vectors


def stored(folder: Path, vectors: np.ndarray) -> VectorMap:
    dimension = vectors.shape[1]
    create_vector_file(folder / "v", dimension=dimension, generation=1, name=bytes(16))
    writer = VectorWriter(folder / "v", dimension)
    writer.write(0, vectors)
    writer.close()
    return VectorMap(folder / "v", rows=len(vectors), dimension=dimension, generation=1, name=bytes(16))


def lists(found: Found, queries: int) -> list[list[int]]:
    return [found.rows[found.queries == i].tolist() for i in range(queries)]


@pytest.mark.parametrize("at_once", [1, 1000, 1 << 20])
@pytest.mark.parametrize("k", [1, 3, 40, 500])
@pytest.mark.parametrize("share", [0.0, 0.2, 0.9, 1.0])
def test_scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, k: int, share: float, at_once: int) -> None:
    for limit in ("_SCORES_BYTES", "_COPY_BYTES", "_PICK_BYTES"):
        monkeypatch.setattr(nearest, limit, at_once)
    vectors, queries = unit_vectors(200), unit_vectors(9, 1)
    chosen = np.random.default_rng(2).random(200) < share
    for start, end in ((0, 200), (30, 150), (200, 200)):
        found = scan(stored_once(tmp_path, vectors), queries, k, start=start, end=end, chosen=chosen[start:end])
        rows = np.flatnonzero(chosen[start:end]) + start
        settled = settle(found, stored_once(tmp_path, vectors), queries, k, None)
        expected = [rows[keys].tolist() for keys in nearest_keys(vectors[rows], queries, k)]
        assert lists(settled, 9) == expected


def stored_once(folder: Path, vectors: np.ndarray) -> VectorMap:
    if not (folder / "v").exists():
        return stored(folder, vectors)
    return VectorMap(folder / "v", rows=len(vectors), dimension=vectors.shape[1], generation=1, name=bytes(16))


@pytest.mark.parametrize("order", [1, -1])
def test_scan_of_rows_in_rising_and_falling_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: int) -> None:
    monkeypatch.setattr(nearest, "_SCORES_BYTES", 512)
    vectors, queries = unit_vectors(2000), unit_vectors(4, 1)
    vectors = vectors[np.argsort(order * (vectors @ queries[0]))]
    kept = stored(tmp_path, vectors)
    found = settle(scan(kept, queries, 7, start=0, end=2000, chosen=np.ones(2000, np.bool_)), kept, queries, 7, None)
    assert lists(found, 4) == nearest_keys(vectors, queries, 7)


def test_candidates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, queries = unit_vectors(200), unit_vectors(9, 1)
    rows = np.array([np.random.default_rng(i).permutation(200)[:50] for i in range(9)])
    rows[rows % 7 == 0] = -1
    for at_once in (1, 1000, 1 << 20):
        monkeypatch.setattr(nearest, "_PICK_BYTES", at_once)
        kept = stored_once(tmp_path, vectors)
        settled = settle(scored(kept, queries, rows, 5), kept, queries, 5, None)
        for query, found in enumerate(lists(settled, 9)):
            among = rows[query][rows[query] >= 0]
            assert found == among[nearest_keys(vectors[among], queries[[query]], 5)[0]].tolist()
    assert not len(scored(kept, queries, np.empty((9, 0), np.int64), 5).rows)
    few = scored(kept, queries, rows[:, :3], 5)
    assert sorted(lists(few, 9)[0]) == sorted(rows[0, :3][rows[0, :3] >= 0].tolist())


def test_a_score_is_the_same_however_it_was_found(tmp_path: Path) -> None:
    vectors = unit_vectors(300)
    vectors[100:110] = vectors[5]
    kept = stored(tmp_path, vectors)
    every = np.ones(300, np.bool_)
    scanned = settle(scan(kept, vectors, 20, start=0, end=300, chosen=every), kept, vectors, 20, None)
    rows = np.tile(np.arange(300), (300, 1))
    candidates = settle(scored(kept, vectors, rows, 20), kept, vectors, 20, None)
    one = settle(scan(kept, vectors[5:6], 20, start=0, end=300, chosen=every), kept, vectors[5:6], 20, None)
    assert dict(zip(scanned.rows[scanned.queries == 5], scanned.scores[scanned.queries == 5], strict=True)) == dict(
        zip(candidates.rows[candidates.queries == 5], candidates.scores[candidates.queries == 5], strict=True)
    )
    np.testing.assert_array_equal(scanned.scores, candidates.scores)
    np.testing.assert_array_equal(one.scores, scanned.scores[scanned.queries == 5])
    # Itself, and whoever is equal, at exactly 1.
    assert (one.scores[:11] == 1).all()
    assert set(one.rows[:11]) == {5, *range(100, 110)}


@pytest.mark.parametrize("at_once", [64, 1 << 20])
def test_all_that_share_the_last_score_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(nearest, "_SCORES_BYTES", at_once)
    vectors = np.tile(unit_vectors(1), (50, 1))
    kept = stored(tmp_path, vectors)
    found = settle(
        scan(kept, vectors[:2], 3, start=0, end=50, chosen=np.ones(50, np.bool_)), kept, vectors[:2], 3, None
    )
    assert lists(found, 2) == [list(range(50))] * 2


@given(threshold=st.floats(-1, 1))
def test_threshold_is_inclusive(tmp_path_factory: pytest.TempPathFactory, threshold: float) -> None:
    vectors, queries = unit_vectors(40), unit_vectors(3, 1)
    kept = stored(tmp_path_factory.mktemp("v"), vectors)
    found = scan(kept, queries, 40, start=0, end=40, chosen=np.ones(40, np.bool_))
    every = settle(found, kept, queries, 40, None)
    some = settle(found, kept, queries, 40, threshold)
    assert some.rows.tolist() == every.rows[every.scores >= np.float32(threshold)].tolist()
    at = float(every.scores[7])
    assert at in settle(found, kept, queries, 40, at).scores
