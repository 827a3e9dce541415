"""Integer products against NumPy's."""

import numpy as np
import pytest

from simcse_engine.index.search.products import PackedQueries


@pytest.mark.parametrize("dimension", [1, 8, 96, 384, 1000])
@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_products_are_exact(dimension: int, count: int) -> None:
    random = np.random.default_rng(dimension + count)
    rows = random.integers(-127, 128, (300, dimension), dtype=np.int8)
    codes = random.integers(-127, 128, (count, dimension), dtype=np.int8)
    # The largest sums that there are.
    rows[0], codes[-1] = 127, -127
    expected, packed = rows.astype(np.int64) @ codes.T.astype(np.int64), PackedQueries(codes)
    np.testing.assert_array_equal(packed.products(rows), expected)
    np.testing.assert_array_equal(packed.products(rows[3:200]), expected[3:200])
