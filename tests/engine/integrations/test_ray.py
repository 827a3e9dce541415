"""The adapter for Ray Data, in the framework's own release: its idiom, from Parquet to Parquet."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from simcse_engine import Encoder
from simcse_engine.errors import InputTypeError, InputValueError
from simcse_engine.integrations.ray import Embed
from support.ray import running
from support.recipes import recipe

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

TEXTS = [f"the cat {'is on the mat ' * (i % 4)}{i}" for i in range(400)]

# One CPU more than the actors have: reading and writing need one too.
PRELUDE = """if True:
    import sys
    import ray, ray.data
    from simcse_engine.machine.cpu import usable_cpus

    artifact, texts, vectors = sys.argv[1:]
    ray.init(num_cpus=3, include_dashboard=False, object_store_memory=100_000_000, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    # Ray says by OMP_NUM_THREADS how many CPUs somebody has.
    assert ray.get(ray.remote(num_cpus=1)(usable_cpus).remote()) == 1
"""


def test_map_batches_from_parquet_to_parquet(artifact: Path, tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    table = pa.table({"id": range(400), "text": TEXTS})
    for start in (0, 150):
        pq.write_table(table.slice(start, 250 if start else 150), tmp_path / f"texts/{start}.parquet")
    script = ("-c", PRELUDE + recipe("Ray"), artifact, tmp_path / "texts", tmp_path / "vectors")
    with running(*script, stderr=subprocess.PIPE) as program:
        _, errors = program.process.communicate(timeout=100)
    assert program.process.returncode == 0, errors.decode()
    with Encoder(artifact) as encoder:
        expected = encoder.encode(TEXTS)
    made = pq.read_table(tmp_path / "vectors").sort_by("id")
    assert made.column("id").to_pylist() == [*range(400)]
    assert made.column("text").to_pylist() == TEXTS
    assert made.schema.field("vector").type == pa.list_(pa.float32(), expected.shape[1])
    np.testing.assert_allclose(made.column("vector").to_pylist(), expected, atol=1e-6)


def test_batches(artifact: Path) -> None:
    embed = Embed(artifact, text_column="sentence")
    table = pa.table({"sentence": TEXTS[:3], "vector": [1, 2, 3], "id": [1, 2, 3]})
    made = embed(table)
    assert made.column_names == ["sentence", "vector", "id"]
    arrays = embed({"sentence": np.array(TEXTS[:3], object), "id": np.arange(3)})
    with Encoder(artifact) as encoder:
        expected = encoder.encode(TEXTS[:3])
    np.testing.assert_allclose(made.column("vector").to_pylist(), expected, atol=1e-6)
    np.testing.assert_allclose(arrays["vector"], expected, atol=1e-6)
    assert len(embed(table.slice(0, 0))) == 0


def test_batches_that_are_none(artifact: Path) -> None:
    embed = Embed(artifact)
    with pytest.raises(InputTypeError, match="batch_format='pyarrow' or 'numpy'"):
        embed([{"text": "a"}])
    with pytest.raises(InputTypeError, match=r"texts\[1\] is NoneType"):
        embed(pa.table({"text": ["a", None]}))
    with pytest.raises(InputValueError, match='no column "text"; it has sentence'):
        embed({"sentence": np.array(["a"], object)})
