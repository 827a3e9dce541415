"""Products against NumPy's."""

import numpy as np
import pytest

from simcse_engine.index.search.products import PackedQueries
from support.indexes import unit_vectors


@pytest.mark.parametrize(("count", "dimension"), [(c, d) for c in (1, 2, 7, 100) for d in (1, 8, 96, 384, 1000)])
def test_products_of_floats_are_right_to_float32(count: int, dimension: int) -> None:
    # Rows as a vector file has them, with a checksum behind each.
    rows, queries = unit_vectors(300, 0, dimension + 1)[:, :-1], unit_vectors(count, 1, dimension)
    expected = rows.astype(np.float64) @ queries.T.astype(np.float64)
    np.testing.assert_allclose(PackedQueries(queries).products(rows[3:200]), expected[3:200], rtol=0, atol=1e-6)
