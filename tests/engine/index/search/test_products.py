"""Products against NumPy's."""

import numpy as np
import pytest

from simcse_engine.index.search.products import PackedQueries
from support.indexes import unit_vectors

sizes = pytest.mark.parametrize(("count", "dimension"), [(c, d) for c in (1, 2, 7, 100) for d in (1, 8, 96, 384, 1000)])


@sizes
def test_products_of_codes_are_exact(count: int, dimension: int) -> None:
    random = np.random.default_rng(dimension + count)
    rows = random.integers(-127, 128, (300, dimension), dtype=np.int8)
    codes = random.integers(-127, 128, (count, dimension), dtype=np.int8)
    # The largest sums that there are.
    rows[0], codes[-1] = 127, -127
    expected, packed = rows.astype(np.int64) @ codes.T.astype(np.int64), PackedQueries(codes)
    np.testing.assert_array_equal(packed.products(rows), expected)
    np.testing.assert_array_equal(packed.products(rows[3:200]), expected[3:200])


@sizes
def test_products_of_floats_are_right_to_float32(count: int, dimension: int) -> None:
    # Rows as a vector file has them, with a checksum behind each.
    rows, queries = unit_vectors(300, 0, dimension + 1)[:, :-1], unit_vectors(count, 1, dimension)
    expected = rows.astype(np.float64) @ queries.T.astype(np.float64)
    np.testing.assert_allclose(PackedQueries(queries).products(rows[3:200]), expected[3:200], rtol=0, atol=1e-6)
