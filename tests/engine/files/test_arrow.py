"""Columns of Parquet and Arrow files; whole files are in the tests of texts, vectors and entries."""

import numpy as np
import pytest

from simcse_engine.errors import InputTypeError, InputValueError
from simcse_engine.files.arrow import parsed_metadata, vector_column, vector_type


def test_vectors_become_lists_of_fixed_size() -> None:
    pytest.importorskip("pyarrow")
    vectors = np.arange(6, dtype=np.float32).reshape(3, 2)
    column = vector_column(vectors[:, ::-1])
    assert column.type == vector_type(2)
    assert column.to_pylist() == [[1, 0], [3, 2], [5, 4]]
    assert len(vector_column(vectors[:0])) == 0


def test_metadata_is_a_struct_or_a_json_object() -> None:
    assert parsed_metadata(None, "f") is None
    assert parsed_metadata({"year": 2020}, "f") == {"year": 2020}
    assert parsed_metadata('{"year": 2020}', "f") == {"year": 2020}
    for wrong in ("{", 5):
        with pytest.raises(InputValueError, match=r'^f: column "metadata" is not JSON'):
            parsed_metadata(wrong, "f")
    with pytest.raises(InputTypeError, match=r"holds \[1\]; expected JSON objects"):
        parsed_metadata("[1]", "f")
