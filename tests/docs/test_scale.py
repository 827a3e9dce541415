"""The recipes of docs/scale.md run in the frameworks' own releases; Spark's, whose package is large, is run by hand."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from simcse_engine import Encoder
from support.environments import environment
from support.ray import ENGINE
from support.recipes import recipe

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

TEXTS = [f"the cat {'is on the mat ' * (i % 4)}{i}" for i in range(400)]


def test_daft(artifact: Path, tmp_path: Path) -> None:
    python = environment(
        "daft",
        *("daft==0.7.26", "numpy", "onnxruntime", "pyarrow", "tokenizers", "huggingface-hub", "tqdm", "usearch"),
    )
    pq.write_table(pa.table({"id": range(400), "text": TEXTS}), tmp_path / "texts.parquet")
    script = "import sys\nfrom pathlib import Path\nartifact, texts, vectors = Path(sys.argv[1]), *sys.argv[2:]\n"
    # Daft's own threads may crash an interpreter that ends beside them, once all is written.
    ending = "\nimport os\nos._exit(0)\n"
    command = [
        python,
        "-c",
        script + recipe("Daft") + ending,
        artifact,
        tmp_path / "texts.parquet",
        tmp_path / "vectors",
    ]
    settings = {"PYTHONPATH": str(ENGINE), "DAFT_ANALYTICS_ENABLED": "0", "DO_NOT_TRACK": "1", "PATH": "/usr/bin:/bin"}
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=120, env=settings)
    assert done.returncode == 0, done.stderr
    made = pq.read_table(tmp_path / "vectors").sort_by("id")
    assert made.column("text").to_pylist() == TEXTS
    with Encoder(artifact) as encoder:
        np.testing.assert_allclose(made.column("vector").to_pylist(), encoder.encode(TEXTS), atol=1e-6)
