"""Columns of Parquet and Arrow files, and damaged ones; whole files are in the tests of texts, vectors and entries."""

from pathlib import Path

import numpy as np
import pytest

from simcse_engine.errors import InputValueError
from simcse_engine.files.arrow import vector_column, vector_type
from simcse_engine.files.new_entries import open_entries
from simcse_engine.files.texts import open_texts
from simcse_engine.index.storage.key_kinds import KEY_KINDS


def test_vectors_become_lists_of_fixed_size() -> None:
    pytest.importorskip("pyarrow")
    vectors = np.arange(6, dtype=np.float32).reshape(3, 2)
    column = vector_column(vectors[:, ::-1])
    assert column.type == vector_type(2)
    assert column.to_pylist() == [[1, 0], [3, 2], [5, 4]]
    assert len(vector_column(vectors[:0])) == 0


def test_offsets_beyond_an_arrow_file_are_refused(tmp_path: Path) -> None:
    """pyarrow trusts them, and ends the process."""
    arrow = pytest.importorskip("pyarrow")
    path = tmp_path / "a.arrow"
    table = arrow.table({"text": ["first", "second"], "n": [1, 2]})
    with arrow.ipc.new_file(path, table.schema) as file:
        file.write_table(table)
    content, offsets = path.read_bytes(), np.array([0, 5, 11], "<i4").tobytes()
    assert content.count(offsets) == 1
    path.write_bytes(content.replace(offsets, np.array([0, 1 << 30, 11], "<i4").tobytes()))
    with open_texts(str(path)) as texts, pytest.raises(InputValueError, match="row 1: cannot be read"):
        list(texts)
    with (
        open_entries(str(path), KEY_KINDS["int"]) as blocks,
        pytest.raises(InputValueError, match="row 1: cannot be read"),
    ):
        list(blocks)


def test_values_that_python_has_nothing_for_are_refused(tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    far = arrow.array([1 << 40], arrow.timestamp("s"))
    parquet.write_table(arrow.table({"text": ["a"], "when": far}), tmp_path / "far.parquet")
    with (
        open_entries(str(tmp_path / "far.parquet"), KEY_KINDS["int"]) as blocks,
        pytest.raises(InputValueError, match='row 1: column "when"'),
    ):
        list(blocks)


def test_a_column_s_name_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    parquet.write_table(arrow.table({"text": ["a"], "column": ["b"]}), path, store_schema=False)
    path.write_bytes(path.read_bytes().replace(b"column", b"col\xffmn"))
    with pytest.raises(InputValueError, match="not a readable Parquet file"), open_texts(str(path)):
        pass
