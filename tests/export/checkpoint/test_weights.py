"""Weights come out alike from whatever file, precision, sharding or naming they lie in, and damage is named."""

import itertools
import json
import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from simcse_engine.errors import CheckpointError, PoolerError
from simcse_export import ExportOptions, export
from simcse_export.checkpoint.weights import canonical, digest, load_weights, select
from support.checkpoints import edit_weights, make_checkpoint, write_json
from support.forward import assert_equal, forward

WORDS = "embeddings.word_embeddings.weight"
QUERY = "encoder.layer.1.attention.self.query.weight"


Change = Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]


def edit_state(path: Path, change: Change) -> None:
    """Rewrite a file of weights as ``change`` returns its tensors."""
    if path.suffix == ".safetensors":
        edit_weights(path.parent, change)
    else:
        torch.save(change(torch.load(path, weights_only=True)), path)


def refused(checkpoint: Path, match: str) -> None:
    """Fail unless the export is refused with ``match``, and leaves nothing."""
    artifact = checkpoint.parent / "artifact"
    with pytest.raises(CheckpointError, match=match):
        export(checkpoint, artifact, ExportOptions(pooler="avg"))
    assert [path.name for path in checkpoint.parent.iterdir()] == [checkpoint.name]


@pytest.mark.parametrize("raw", [False, True], ids=["converted", "raw"])
@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_every_form_comes_out_alike(tmp_path: Path, dtype: torch.dtype, file: str, shards: int, raw: bool) -> None:
    plain = load_file(make_checkpoint(tmp_path / "plain") / "model.safetensors")
    weights = load_weights(make_checkpoint(tmp_path / "form", dtype=dtype, weights=file, shards=shards, raw=raw))
    assert weights.keys() == plain.keys()
    for name, tensor in plain.items():
        assert weights[name].dtype == np.float32
        np.testing.assert_array_equal(weights[name], tensor.to(dtype).float().numpy())


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_every_form_is_exported(tmp_path: Path, dtype: torch.dtype, file: str, shards: int) -> None:
    checkpoint = make_checkpoint(tmp_path / "form", model_type="roberta", dtype=dtype, weights=file, shards=shards)
    export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="cls"))
    assert_equal(tmp_path / "artifact", forward(checkpoint, "cls"))


def test_the_model_is_the_same_in_every_form(tmp_path: Path) -> None:
    half = make_checkpoint(tmp_path / "half", dtype=torch.float16)
    forms = [
        half,
        make_checkpoint(tmp_path / "raw", dtype=torch.float16, raw=True, weights="pytorch_model.bin", shards=2),
        edit_weights(
            make_checkpoint(tmp_path / "full", dtype=torch.float16),
            lambda state: {name: tensor.float() for name, tensor in state.items()},
        ),
    ]
    manifests = [export(form, tmp_path / f"{form.name}-out", ExportOptions(pooler="cls")) for form in forms]
    assert len({manifest.source.digest for manifest in manifests}) == 1
    assert len({manifest.model for manifest in manifests}) == 1
    assert len({manifest.identity for manifest in manifests}) == 1
    other = export(make_checkpoint(tmp_path / "other", seed=1), tmp_path / "other-out", ExportOptions(pooler="cls"))
    assert other.source.digest != manifests[0].source.digest
    assert other.model != manifests[0].model


def test_a_head_that_is_not_used_does_not_change_the_model(tmp_path: Path) -> None:
    manifests = [
        export(
            make_checkpoint(tmp_path / f"head-{head}", head=head), tmp_path / f"out-{head}", ExportOptions(pooler="avg")
        )
        for head in (True, False)
    ]
    assert manifests[0].model == manifests[1].model


def test_tensorflows_names_of_layer_norms(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint")
    expected = forward(checkpoint, "avg")
    edit_weights(
        checkpoint,
        lambda state: {
            name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
            for name, tensor in state.items()
        },
    )
    assert any(name.endswith("gamma") for name in load_file(checkpoint / "model.safetensors"))
    export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="avg"))
    assert_equal(tmp_path / "artifact", expected)


@pytest.mark.parametrize(
    ("model_type", "raw"),
    [*itertools.product(("bert", "roberta", "mpnet"), (False, True)), ("distilbert", True)],
)
def test_names_as_dataparallel_wraps_them(tmp_path: Path, model_type: str, raw: bool) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", model_type=model_type, raw=raw)
    expected = forward(checkpoint, "cls")
    edit_weights(checkpoint, lambda state: {f"module.{name}": tensor for name, tensor in state.items()})
    export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="cls"))
    assert_equal(tmp_path / "artifact", expected)


def test_simcses_head_goes_before_the_one_left_of_pretraining() -> None:
    raw = {
        f"bert.{WORDS}": torch.zeros(2, 2),
        "bert.pooler.dense.weight": torch.zeros(2, 2),
        "bert.pooler.dense.bias": torch.zeros(2),
        "mlp.dense.weight": torch.ones(2, 2),
        "mlp.dense.bias": torch.ones(2),
        "lm_head.bias": torch.ones(2),
        "bert.embeddings.position_ids": torch.arange(2),
    }
    for order in (raw, dict(reversed(raw.items()))):
        weights = canonical(order)
        assert weights.keys() == {WORDS, "pooler.dense.weight", "pooler.dense.bias"}
        assert weights["pooler.dense.weight"].min() == weights["pooler.dense.bias"].min() == 1


def test_safetensors_go_before_a_bin(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path)
    (checkpoint / "pytorch_model.bin").write_bytes(b"never looked at")
    assert WORDS in load_weights(checkpoint)


def test_the_digest_depends_on_names_shapes_values_and_numbers() -> None:
    weights = {"a": np.zeros((2, 3), np.float32), "b": np.ones(2, np.float32)}
    numbers = {"layers": 1, "activation": "gelu"}
    base = digest(weights, numbers)
    assert digest(dict(reversed(weights.items())), dict(reversed(numbers.items()))) == base
    for other in (
        {"a": weights["a"], "c": weights["b"]},
        {"a": weights["a"].reshape(3, 2), "b": weights["b"]},
        {"a": weights["a"], "b": weights["b"] * 2},
    ):
        assert digest(other, numbers) != base
    assert digest(weights, numbers | {"layers": 2}) != base


def test_select_takes_what_is_asked_for() -> None:
    weights = {name: np.zeros(2, np.float32) for name in ("a", "b", "c")}
    assert select(weights, {"a": (2,)}, optional=["c", "d"]).keys() == {"a", "c"}
    with pytest.raises(CheckpointError, match="lack d"):
        select(weights, {"a": (2,), "d": (2,)})
    with pytest.raises(CheckpointError, match=r"b has shape \(2,\), the config says \(3,\)"):
        select(weights, {"b": (3,)})


@pytest.mark.parametrize("keep", [0, 4, 100, 0.5, 0.999])
@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_a_truncated_file(tmp_path: Path, file: str, keep: float) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", weights=file)
    size = (checkpoint / file).stat().st_size
    os.truncate(checkpoint / file, int(keep * size if keep < 1 else keep))
    refused(checkpoint, f"{file}: cannot be read .*is the download complete")


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_a_truncated_shard(tmp_path: Path, file: str) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", weights=file, shards=3)
    shard = sorted(checkpoint.glob(f"{file.split('.')[0]}-*"))[1]
    os.truncate(shard, shard.stat().st_size // 2)
    refused(checkpoint, f"{shard.name}: cannot be read")


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_a_missing_shard(tmp_path: Path, file: str) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", weights=file, shards=3)
    shard = sorted(checkpoint.glob(f"{file.split('.')[0]}-*"))[1]
    shard.unlink()
    refused(checkpoint, f"{shard.name}: missing")


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", '{"weight_map": 3}', '{"weight_map": {"a": 1, "b": "c"}}', "\xff"]
)
def test_a_broken_index(tmp_path: Path, content: str) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", shards=2)
    (checkpoint / "model.safetensors.index.json").write_bytes(content.encode("latin-1"))
    refused(checkpoint, r"index\.json: cannot be read")


@pytest.mark.parametrize("name", ["../other/model.safetensors", "/other/model.safetensors", "", ".."])
def test_a_shard_elsewhere(tmp_path: Path, name: str) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", shards=2)
    write_json(checkpoint / "model.safetensors.index.json", {"weight_map": {"embeddings": name}})
    refused(checkpoint, r"index\.json: names '.*'; expected files that lie beside it")


class _Attack:
    """Pickled, it would run a command where it is loaded without care."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.target),)


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", weights="pytorch_model.bin")
    state = torch.load(checkpoint / "pytorch_model.bin", weights_only=True)
    torch.save(state | {"extra": _Attack(checkpoint / "ran")}, checkpoint / "pytorch_model.bin")
    refused(checkpoint, r"pytorch_model\.bin: cannot be read")
    assert not (checkpoint / "ran").exists()


@pytest.mark.parametrize("content", [[torch.zeros(2)], {"epoch": 3}, {3: torch.zeros(2)}, torch.zeros(2)])
def test_a_bin_that_holds_no_state_dict(tmp_path: Path, content: object) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", weights="pytorch_model.bin")
    torch.save(content, checkpoint / "pytorch_model.bin")
    refused(checkpoint, "holds no state dict")


def test_no_weights(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint")
    (checkpoint / "model.safetensors").unlink()
    refused(checkpoint, r"no model\.safetensors and no pytorch_model\.bin")


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_a_folder_for_a_file(tmp_path: Path, file: str) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", weights=file)
    (checkpoint / file).unlink()
    (checkpoint / file).mkdir()
    refused(checkpoint, f"{file}: is a folder")


@pytest.mark.parametrize("name", [WORDS, QUERY, "encoder.layer.2.output.LayerNorm.bias"])
@pytest.mark.parametrize("raw", [False, True], ids=["converted", "raw"])
def test_a_missing_tensor(tmp_path: Path, name: str, raw: bool) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", raw=raw)
    edit_weights(checkpoint, lambda state: {key: value for key, value in state.items() if not key.endswith(name)})
    refused(checkpoint, f"lack .*{name}|lack .*embeddings")


def changed(change: Callable[[torch.Tensor], torch.Tensor], name: str = QUERY) -> Change:
    """A change of one tensor of a state dict."""
    return lambda state: state | {name: change(state[name])}


def holding(value: float) -> Callable[[torch.Tensor], torch.Tensor]:
    """Puts a value among a tensor's others."""

    def put(tensor: torch.Tensor) -> torch.Tensor:
        tensor = tensor.double()
        tensor[3, 5] = value
        return tensor

    return put


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300])
@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_values_that_are_no_numbers_are_named(tmp_path: Path, file: str, value: float) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", weights=file)
    edit_state(checkpoint / file, changed(holding(value)))
    refused(checkpoint, f"^{QUERY}: NaN or infinity among the float32 weights; training diverged, or")


@pytest.mark.parametrize(
    "config",
    [{"model_type": "mpnet"}, pytest.param({"hidden_act": "mish"}, marks=pytest.mark.transformers_4)],
    ids=["authored", "optimum"],
)
def test_a_head_that_is_not_used_may_hold_anything(tmp_path: Path, config: dict[str, str]) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", **config)
    edit_weights(checkpoint, changed(holding(math.nan), "pooler.dense.weight"))
    with pytest.raises(CheckpointError, match=r"^pooler\.dense\.weight: NaN"):
        export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="cls"))
    export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="avg"))


@pytest.mark.parametrize("change", [torch.zeros_like, lambda tensor: tensor * 1e30], ids=["zeros", "overflow"])
def test_weights_that_make_no_vectors(tmp_path: Path, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint")
    edit_weights(checkpoint, lambda state: {name: change(tensor) for name, tensor in state.items()})
    refused(checkpoint, "transformers itself computes NaN, infinity or vectors of length 0 for 38 of 38 texts")


@pytest.mark.parametrize(
    "model_type", ["bert", "distilbert", "mpnet", pytest.param("electra", marks=pytest.mark.transformers_4)]
)
def test_double_precision(tmp_path: Path, model_type: str) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", model_type=model_type, dtype=torch.float64)
    export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="avg"))
    assert_equal(tmp_path / "artifact", forward(checkpoint, "avg"))


def test_parameters_are_tensors_too(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", weights="pytorch_model.bin")
    expected = load_weights(checkpoint)
    edit_state(
        checkpoint / "pytorch_model.bin",
        lambda state: {name: torch.nn.Parameter(tensor) for name, tensor in state.items()},
    )
    weights = load_weights(checkpoint)
    np.testing.assert_array_equal(weights[QUERY], expected[QUERY])


@pytest.mark.parametrize(
    "dtype", [torch.int8, torch.uint8, torch.bool, torch.int64, torch.complex64, torch.float8_e4m3fn], ids=str
)
def test_other_types_of_numbers(tmp_path: Path, dtype: torch.dtype) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint")
    edit_weights(checkpoint, changed(lambda tensor: tensor.to(dtype)))
    refused(checkpoint, f"^{QUERY}: a tensor of {str(dtype).removeprefix('torch.')}; expected one of float32, float16")


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda tensor: tensor.to_sparse(), "sparse_coo"),
        (lambda tensor: tensor.to("meta"), "meta"),
    ],
)
def test_other_kinds_of_tensors(tmp_path: Path, change: Callable[[torch.Tensor], torch.Tensor], kind: str) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", weights="pytorch_model.bin")
    edit_state(checkpoint / "pytorch_model.bin", changed(change))
    refused(checkpoint, f"^{QUERY}: a tensor of {kind}; expected")


@pytest.mark.parametrize("name", [WORDS, QUERY])
def test_a_wrong_shape(tmp_path: Path, name: str) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint")
    edit_weights(checkpoint, lambda state: state | {name: state[name][:-1].clone()})
    refused(checkpoint, "transformers cannot load it|has shape")


def test_a_head_of_a_wrong_shape(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", raw=True)
    edit_weights(checkpoint, lambda state: state | {"mlp.dense.weight": torch.zeros(7, 32)})
    with pytest.raises(CheckpointError, match=r"pooler\.dense\.weight has shape \(7, 32\), the config says \(32, 32\)"):
        export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="cls"))


def test_half_a_head(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", raw=True)
    edit_weights(checkpoint, lambda state: {name: value for name, value in state.items() if name != "mlp.dense.bias"})
    with pytest.raises(PoolerError, match="needs the trained head"):
        export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="cls"))
    # Without the head it is of no matter.
    export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="avg"))


def test_weights_of_another_model(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint")
    save_file({"something.else": torch.zeros(3)}, checkpoint / "model.safetensors")
    refused(checkpoint, "the weights lack|cannot load")


def test_one_shard_listed_twice_is_read_once(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path, shards=2)
    index = checkpoint / "model.safetensors.index.json"
    weight_map = json.loads(index.read_text())["weight_map"]
    write_json(index, {"weight_map": dict.fromkeys(weight_map, "model-00001-of-00002.safetensors")})
    assert load_weights(checkpoint).keys() == load_file(checkpoint / "model-00001-of-00002.safetensors").keys()
