"""The ends of graphs, in every writer and dialect."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from simcse_engine.artifact.manifest import GRAPH
from simcse_engine.measure import parity
from simcse_export import ExportOptions, export
from support.checkpoints import make_sentence_transformers, write_json
from support.forward import forward
from support.maker import short_calibration

CONFIG = "config_sentence_transformers.json"


@pytest.fixture(scope="module")
def calibration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return short_calibration(tmp_path_factory)


@pytest.fixture
def truncated(tmp_path: Path) -> Path:
    """A folder whose vectors are 16 floats of 32."""
    folder = make_sentence_transformers(tmp_path / "folder", num_hidden_layers=2)
    write_json(folder / CONFIG, {"truncate_dim": 16})
    return folder


def check(artifact: Path, checkpoint: Path) -> None:
    """Fail unless graph and check vectors have 16 floats, and these are transformers' first ones."""
    output = onnx.load(artifact / GRAPH, load_external_data=False).graph.output[0]
    assert output.type.tensor_type.shape.dim[1].dim_value == 16
    texts, vectors = parity.load_check(artifact)
    expected = forward(checkpoint, "avg", texts, max_tokens=48, normalize=False)[:, :16]
    np.testing.assert_allclose(vectors, expected / np.linalg.norm(expected, axis=1, keepdims=True), rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ("target", "precision"),
    [("cpu", "int8"), ("cuda", "fp32"), ("cuda", "fp16"), ("tensorrt", "fp16"), ("tensorrt", "int8")],
)
def test_truncate_dim_in_every_dialect(
    truncated: Path, tmp_path: Path, calibration: Path, target: str, precision: str
) -> None:
    corpus = calibration if precision == "int8" else None
    options = ExportOptions(target=target, precision=precision, calibration=corpus)
    # It compares the graph's vectors with the check's.
    manifest = export(truncated, tmp_path / "artifact", options)
    assert (manifest.dimension, manifest.normalized) == (16, True)
    check(tmp_path / "artifact", truncated)


@pytest.mark.transformers_4
def test_truncate_dim_through_optimum(tmp_path: Path) -> None:
    folder = make_sentence_transformers(tmp_path / "folder", model_type="electra")
    write_json(folder / CONFIG, {"truncate_dim": 16})
    manifest = export(folder, tmp_path / "artifact")
    assert (manifest.dimension, manifest.architecture["graph"]) == (16, "optimum")
    check(tmp_path / "artifact", folder)
