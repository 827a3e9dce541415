"""Cosines against values worked out by hand."""

import math

import numpy as np
import pytest

from simcse_engine.measure import cosines
from simcse_engine.measure.cosines import pair_cosines, unit_rows

HALF = math.sqrt(0.5)
VECTORS = np.array([[3, 0], [0, 0.5], [-1e-3, 0], [2e4, 2e4], [0, 0]], np.float32)


def test_rows_of_any_length_become_unit_vectors_and_zero_stays_zero() -> None:
    units = unit_rows(VECTORS)
    assert units.dtype == np.float64
    np.testing.assert_allclose(units, [[1, 0], [0, 1], [-1, 0], [HALF, HALF], [0, 0]], atol=1e-15)


def test_cosines_of_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cosines, "_BLOCK_ROWS", 2)
    values = pair_cosines(VECTORS, np.array([0, 0, 0, 0, 0, 4]), np.array([0, 1, 2, 3, 4, 4]))
    assert values.dtype == np.float64
    np.testing.assert_allclose(values, [1, 0, -1, HALF, 0, 0], atol=1e-12)


def test_cosines_of_one_direction_are_tied() -> None:
    vectors = np.random.default_rng(0).standard_normal((200, 48)).astype(np.float32)
    assert set(pair_cosines(vectors, np.arange(200), np.arange(200))) == {1.0}
