"""Other encoders go through optimum, with our inputs, poolers and norm around its graph."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from transformers import AutoConfig, AutoModel

from simcse_engine.artifact.kinds import POOLERS
from simcse_engine.artifact.manifest import GRAPH
from simcse_engine.errors import CheckpointError, PoolerError, UnsupportedModelError
from simcse_export import ExportOptions, export
from simcse_export.checkpoint.architecture import Architecture
from simcse_export.checkpoint.weights import load_weights
from simcse_export.graph.bert import author
from simcse_export.graph.dialects.dialect import Dialect
from simcse_export.graph.optimum import author_through_optimum
from support.checkpoints import edit_json, edit_weights, make_checkpoint
from support.forward import assert_equal, encoded, forward

pytestmark = pytest.mark.transformers_4


@pytest.mark.parametrize("pooler", [pooler for pooler in POOLERS if pooler != "cls"])
@pytest.mark.parametrize("model_type", ["albert", "electra"])
def test_vectors_are_those_of_transformers(tmp_path: Path, model_type: str, pooler: str) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", model_type=model_type, embedding_size=16)
    manifest = export(checkpoint, tmp_path / "artifact", ExportOptions(pooler=pooler))
    assert manifest.architecture["graph"] == "optimum"
    assert manifest.max_tokens == 64
    # The runtime rewrites optimum's graph, and on some CPUs its kernels and torch's differ by more than in ours.
    assert_equal(tmp_path / "artifact", forward(checkpoint, pooler), within=5e-6)
    graph = onnx.load(tmp_path / "artifact" / GRAPH, load_external_data=False).graph
    assert [info.name for info in graph.input] == ["input_ids", "lengths"]


@pytest.mark.parametrize("raw", [False, True], ids=["converted", "raw"])
def test_the_trained_head(tmp_path: Path, raw: bool) -> None:
    # BERT has a head of its own, which "raw" replaces by SimCSE's; an activation function sends it through optimum.
    checkpoint = make_checkpoint(tmp_path / "checkpoint", hidden_act="mish", raw=raw)
    export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="cls"))
    assert_equal(tmp_path / "artifact", forward(checkpoint, "cls"))


def test_a_head_that_is_not_there(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", model_type="electra")
    with pytest.raises(PoolerError, match="none"):
        export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="cls"))


def test_a_head_of_a_wrong_shape(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", hidden_act="mish", raw=True)
    edit_weights(checkpoint, lambda state: state | {"mlp.dense.weight": torch.zeros(32, 31)})
    with pytest.raises(CheckpointError, match=r"pooler\.dense\.weight has shape \(32, 31\)"):
        export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="cls"))


def test_without_the_norm(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", model_type="electra")
    export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="avg", normalize=False))
    expected = forward(checkpoint, "avg", normalize=False)
    lengths = np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.all(np.abs(lengths - 1) > 1e-3)
    for vectors in encoded(tmp_path / "artifact"):
        np.testing.assert_allclose(vectors / lengths, expected / lengths, rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ("model_type", "pooler"),
    [
        *(("bert", "cls"), ("bert", "avg_first_last"), ("roberta", "cls"), ("roberta", "avg_first_last")),
        *(("distilbert", "cls_before_pooler"), ("distilbert", "avg_first_last"), ("mpnet", "cls"), ("mpnet", "avg")),
    ],
)
def test_both_writers_agree(tmp_path: Path, model_type: str, pooler: str) -> None:
    checkpoint = make_checkpoint(tmp_path, model_type=model_type)
    weights = load_weights(checkpoint)
    config = AutoConfig.from_pretrained(checkpoint)
    architecture = Architecture.of(config.to_dict())
    assert architecture is not None
    head = (weights["pooler.dense.weight"], weights["pooler.dense.bias"]) if pooler == "cls" else None
    model = AutoModel.from_pretrained(checkpoint, attn_implementation="eager").eval()
    graphs = [
        author(architecture, weights, Dialect(), pooler=pooler, normalize=True),
        author_through_optimum(model, pooler=pooler, head=head, normalize=True),
    ]
    generator = np.random.default_rng(0)
    for lengths in ([5, 5, 5], [1, 64, 17, 2], [1], [64]):
        feeds = {
            "input_ids": generator.integers(0, architecture.vocabulary, sum(lengths)),
            "lengths": np.array(lengths),
        }
        ours, theirs = (
            onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feeds)
            for graph in graphs
        )
        np.testing.assert_allclose(ours[0], theirs[0], rtol=0, atol=2e-6)


def test_a_missing_tensor_is_not_made_up(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", model_type="electra")
    gone = "encoder.layer.1.attention.self.query.weight"
    edit_weights(checkpoint, lambda state: {name: tensor for name, tensor in state.items() if name != gone})
    with pytest.raises(CheckpointError, match=gone):
        export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="avg"))
    assert not (tmp_path / "artifact").exists()


def test_exporting_twice_gives_the_same_identity(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", model_type="electra")
    first, second = (
        export(checkpoint, tmp_path / name, ExportOptions(pooler="avg_top2")) for name in ("first", "second")
    )
    assert first.identity == second.identity
    assert (tmp_path / "first" / GRAPH).read_bytes() == (tmp_path / "second" / GRAPH).read_bytes()


@pytest.mark.parametrize(("model_type", "says"), [("ernie", "neither we nor optimum"), ("layoutlm", "asks for bbox")])
def test_what_cannot_be_exported_is_refused(tmp_path: Path, model_type: str, says: str) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", model_type=model_type)
    with pytest.raises(UnsupportedModelError, match=f"{model_type}.*{says}"):
        export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="avg"))
    assert not (tmp_path / "artifact").exists()


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint")
    (checkpoint / "theirs.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Model: pass\n")
    auto_map = {"AutoConfig": "theirs.Model", "AutoModel": "theirs.Model"}
    edit_json(checkpoint / "config.json", model_type="theirs", auto_map=auto_map)
    with pytest.raises(CheckpointError, match="custom code"):
        export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="avg"))
    assert not (tmp_path / "ran").exists()
