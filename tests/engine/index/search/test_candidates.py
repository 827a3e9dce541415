"""Scored candidates against the slow way."""

from pathlib import Path

import numpy as np
import pytest

from simcse_engine.index.search import candidates, matches
from simcse_engine.index.search.candidates import score_candidates
from simcse_engine.index.search.matches import rescore
from support.indexes import nearest_keys, rows_by_query, stored, unit_vectors


def test_candidates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, queries = unit_vectors(200), unit_vectors(9, 1)
    rows = np.array([np.random.default_rng(i).permutation(200)[:50] for i in range(9)])
    rows[rows % 7 == 0] = -1
    for at_once in (1, 1000, 1 << 20):
        for module in (candidates, matches):
            monkeypatch.setattr(module, "PICK_BYTES", at_once)
        vector_map = stored(tmp_path, vectors)
        rescored = rescore(score_candidates(vector_map, queries, rows, 5), vector_map, queries, 5, None)
        for query, best in enumerate(rows_by_query(rescored, 9)):
            own = rows[query][rows[query] >= 0]
            assert best == own[nearest_keys(vectors[own], queries[[query]], 5)[0]].tolist()
    assert not len(score_candidates(vector_map, queries, np.empty((9, 0), np.int64), 5).rows)
    few = score_candidates(vector_map, queries, rows[:, :3], 5)
    assert sorted(rows_by_query(few, 9)[0]) == sorted(rows[0, :3][rows[0, :3] >= 0].tolist())
