"""The rows that a worker writes: kept columns, and vectors of every form."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simcse_engine import Encoder
from support.commands import failure, run
from support.shards import TEXTS, rows

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def test_columns_are_kept_in_their_types(
    artifact: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    inputs = (data / "a.parquet", data / "sub")
    (data / "sub/empty.txt").unlink()
    assert run("encode", artifact, *inputs, "-o", f"{output}/", "--keep-columns", "id", "--shard-rows", "20") == 0
    table = pq.read_table(output / "a.parquet-000000000020.parquet")
    assert table.column_names == ["text", "id", "vector"]
    assert table.schema.field("id").type == pa.int16()
    assert pa.types.is_fixed_size_list(table.schema.field("vector").type)
    assert table.column("id").to_pylist() == [*range(20, 40)]
    found = rows(output)
    assert [found["sub/c.jsonl", i]["id"] for i in range(50)] == [str(i) for i in range(50)]
    assert 'no column "none" to keep' in failure(
        capsys, "encode", artifact, data / "a.parquet", "-o", f"{tmp_path}/two/", "--keep-columns", "id,none"
    )


@pytest.mark.parametrize("dtype", ["float16", "int8", "ubinary"])
def test_vectors_of_every_form(artifact: Path, data: Path, tmp_path: Path, dtype: Any) -> None:
    form = ("--dimensions", "16", "--dtype", dtype)
    assert run("encode", artifact, data / "b.txt", "-o", f"{tmp_path}/out/", "--shard-rows", "20", *form) == 0
    with Encoder(artifact) as encoder:
        expected = encoder.encode(TEXTS, dimensions=16, dtype=dtype)
    found = rows(tmp_path / "out")
    vectors = np.array([found["b.txt", i]["vector"] for i in range(50)], expected.dtype)
    np.testing.assert_array_equal(vectors, expected)
    field = pq.read_schema(tmp_path / "out/b.txt-000000000000.parquet").field("vector")
    assert field.type == pa.list_(pa.from_numpy_dtype(expected.dtype), expected.shape[1])
