"""Modules after pooling are read as the library reads them, and what is unsound in them is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from simcse_engine.errors import CheckpointError, UnsupportedModelError
from simcse_export import ExportOptions, export
from simcse_export.checkpoint.checkpoint import open_checkpoint
from support.checkpoints import edit_json, make_sentence_transformers, write_json
from support.forward import assert_equal, forward


def add_dense(
    folder: Path, name: str, sizes: tuple[int, int], weights: str = "model.safetensors", **config: Any
) -> Path:
    """Append a Dense module of [out, in] ``sizes`` with random numbers."""
    modules = json.loads((folder / "modules.json").read_text())
    modules.append({"idx": len(modules), "name": name, "path": name, "type": "sentence_transformers.models.Dense"})
    write_json(folder / "modules.json", modules)
    (folder / name).mkdir()
    stated = {"out_features": sizes[0], "in_features": sizes[1], "bias": True}
    stated |= {"activation_function": "torch.nn.modules.activation.Tanh", **config}
    write_json(folder / name / "config.json", {key: value for key, value in stated.items() if value is not None})
    torch.manual_seed(sizes[0])
    state = {"linear.weight": torch.randn(*sizes) * 0.1, "linear.bias": torch.randn(sizes[0])}
    if not stated["bias"]:
        del state["linear.bias"]
    save_file(state, folder / name / weights) if weights.endswith("safetensors") else torch.save(
        state, folder / name / weights
    )
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_sentence_transformers(tmp_path / "folder", extra="Dropout", num_hidden_layers=1)


def through(folder: Path, name: str, vectors: torch.Tensor, activation: torch.nn.Module) -> torch.Tensor:
    state = torch.load(folder / name / "pytorch_model.bin")
    return activation(vectors @ state["linear.weight"].T + state["linear.bias"]).detach()


@pytest.mark.parametrize("activation", ["Identity", "Tanh", "ReLU", "GELU", "Sigmoid", "SiLU"])
def test_every_activation(folder: Path, tmp_path: Path, activation: str) -> None:
    kind = "linear" if activation == "Identity" else "activation"
    name = f"torch.nn.modules.{kind}.{activation}"
    add_dense(folder, "3_Dense", (20, 32), "pytorch_model.bin", activation_function=name)
    manifest = export(folder, tmp_path / "artifact")
    assert manifest.dimension == 20
    assert manifest.architecture["tail"] == [{"kind": "dense", "dimensions": 20, "activation": activation}]
    pooled = torch.from_numpy(forward(folder, "avg", max_tokens=48, normalize=False))
    expected = through(folder, "3_Dense", pooled, getattr(torch.nn, activation)()).numpy()
    assert_equal(tmp_path / "artifact", expected / np.linalg.norm(expected, axis=1, keepdims=True))


@pytest.mark.parametrize(
    ("target", "precision"),
    [("cpu", "bf16"), ("cpu", "int8"), ("cuda", "fp16"), ("tensorrt", "fp16"), ("tensorrt", "int8")],
)
def test_every_target(folder: Path, tmp_path: Path, target: str, precision: str) -> None:
    write_json(folder / "config_sentence_transformers.json", {"truncate_dim": 10})
    add_dense(folder, "3_Dense", (20, 32))
    # It compares the graph's vectors with those of torch.
    manifest = export(folder, tmp_path / "artifact", ExportOptions(target=target, precision=precision))
    assert (manifest.dimension, manifest.architecture["truncate_dim"]) == (10, 10)
    assert manifest.parity is not None


@pytest.mark.transformers_4
def test_through_optimum(tmp_path: Path) -> None:
    folder = make_sentence_transformers(tmp_path / "folder", extra="Dropout", model_type="electra", num_hidden_layers=1)
    manifest = export(add_dense(folder, "3_Dense", (20, 32)), tmp_path / "artifact")
    assert (manifest.dimension, manifest.architecture["graph"]) == (20, "optimum")


def test_another_layer_is_another_model(folder: Path, tmp_path: Path) -> None:
    without = export(folder, tmp_path / "without")
    add_dense(folder, "3_Dense", (32, 32))
    one = export(folder, tmp_path / "one")
    path = folder / "3_Dense/model.safetensors"
    save_file({"linear.weight": torch.eye(32), "linear.bias": torch.zeros(32)}, path)
    assert len({without.model, one.model, export(folder, tmp_path / "other").model}) == 3


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"activation_function": "torch.nn.modules.activation.Mish"}, "activation_function is .*Mish'; of torch.nn's"),
        ({"activation_function": "mine.Tanh"}, "activation_function is 'mine.Tanh'"),
        ({"activation_function": 3}, "activation_function is 3"),
        ({"module_input_name": "token_embeddings"}, "only sentence embeddings can go through a dense layer"),
        ({"use_residual": True}, "use_residual is True"),
    ],
)
def test_what_cannot_be_exported(folder: Path, config: dict[str, Any], says: str) -> None:
    add_dense(folder, "3_Dense", (20, 32), **config)
    with pytest.raises(UnsupportedModelError, match=f"3_Dense/config.json: .*{says}"):
        open_checkpoint(folder)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"in_features": None}, "in_features is None; expected a count of floats"),
        ({"out_features": "20"}, "out_features is '20'"),
        ({"out_features": 0}, "out_features is 0"),
        ({"bias": 1}, "bias is 1; expected true or false"),
        ({"in_features": 31}, r"linear.weight has shape \(20, 32\), the config says \(20, 31\)"),
    ],
)
def test_a_broken_layer(folder: Path, config: dict[str, Any], says: str) -> None:
    add_dense(folder, "3_Dense", (20, 32))
    edit_json(folder / "3_Dense/config.json", **config)
    with pytest.raises(CheckpointError, match=f"3_Dense.*: {says}"):
        open_checkpoint(folder)


def test_layers_that_do_not_fit_each_other(folder: Path, tmp_path: Path) -> None:
    add_dense(add_dense(folder, "3_Dense", (20, 32)), "4_Dense", (20, 24))
    with pytest.raises(CheckpointError, match="a Dense module takes 24 floats, and gets 20"):
        export(folder, tmp_path / "artifact")


def test_missing_and_hostile_weights(folder: Path, tmp_path: Path) -> None:
    add_dense(folder, "3_Dense", (20, 32))
    (folder / "3_Dense/model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"3_Dense: no model\.safetensors and no pytorch_model\.bin in it"):
        open_checkpoint(folder)

    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return open, (str(tmp_path / "ran"), "w")

    torch.save({"linear.weight": Hostile()}, folder / "3_Dense/pytorch_model.bin")
    with pytest.raises(CheckpointError, match="cannot be read"):
        open_checkpoint(folder)
    assert not (tmp_path / "ran").exists()
