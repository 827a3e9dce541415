"""Columns of Parquet and Arrow files; whole files are in the tests of texts, vectors and entries."""

import numpy as np
import pytest

from simcse_engine.files.arrow import vector_column, vector_type


def test_vectors_become_lists_of_fixed_size() -> None:
    pytest.importorskip("pyarrow")
    vectors = np.arange(6, dtype=np.float32).reshape(3, 2)
    column = vector_column(vectors[:, ::-1])
    assert column.type == vector_type(2)
    assert column.to_pylist() == [[1, 0], [3, 2], [5, 4]]
    assert len(vector_column(vectors[:0])) == 0
