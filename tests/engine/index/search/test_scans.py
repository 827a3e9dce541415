"""Exact scans against the slow way."""

from pathlib import Path

import numpy as np
import pytest

from simcse_engine.index.search import scans
from simcse_engine.index.search.cosines import rescore
from simcse_engine.index.search.scans import scan
from support.indexes import nearest_keys, rows_by_query, stored, unit_vectors


@pytest.mark.parametrize("at_once", [1, 1000, 1 << 20])
@pytest.mark.parametrize("k", [1, 3, 40, 500])
@pytest.mark.parametrize("share", [0.0, 0.2, 0.9, 1.0])
def test_scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, k: int, share: float, at_once: int) -> None:
    for limit in ("_SCORES_BYTES", "_COPY_BYTES"):
        monkeypatch.setattr(scans, limit, at_once)
    vectors, queries = unit_vectors(200), unit_vectors(9, 1)
    eligible_rows = np.random.default_rng(2).random(200) < share
    for start, end in ((0, 200), (30, 150), (200, 200)):
        best = scan(stored(tmp_path, vectors), queries, k, start=start, end=end, eligible=eligible_rows[start:end])
        rows = np.flatnonzero(eligible_rows[start:end]) + start
        rescored = rescore(best, stored(tmp_path, vectors), queries, k, None)
        expected = [rows[keys].tolist() for keys in nearest_keys(vectors[rows], queries, k)]
        assert rows_by_query(rescored, 9) == expected


@pytest.mark.parametrize("order", [1, -1])
def test_scan_of_rows_in_rising_and_falling_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: int) -> None:
    monkeypatch.setattr(scans, "_SCORES_BYTES", 512)
    vectors, queries = unit_vectors(2000), unit_vectors(4, 1)
    vectors = vectors[np.argsort(order * (vectors @ queries[0]))]
    vector_map = stored(tmp_path, vectors)
    best = rescore(
        scan(vector_map, queries, 7, start=0, end=2000, eligible=np.ones(2000, np.bool_)), vector_map, queries, 7, None
    )
    assert rows_by_query(best, 4) == nearest_keys(vectors, queries, 7)


@pytest.mark.parametrize("at_once", [64, 1 << 20])
def test_all_that_share_the_last_score_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(scans, "_SCORES_BYTES", at_once)
    vectors = np.tile(unit_vectors(1), (50, 1))
    vector_map = stored(tmp_path, vectors)
    best = rescore(
        scan(vector_map, vectors[:2], 3, start=0, end=50, eligible=np.ones(50, np.bool_)),
        vector_map,
        vectors[:2],
        3,
        None,
    )
    assert rows_by_query(best, 2) == [list(range(50))] * 2
