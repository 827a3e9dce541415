"""The graphs for TensorRT: plain operators, so a CPU runs them too and every number in them is checked here."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from simcse_engine import Encoder
from simcse_engine.artifact.kinds import POOLERS, TARGETS
from simcse_engine.artifact.manifest import GRAPH, Manifest
from simcse_engine.errors import InputValueError, ProviderError
from simcse_engine.measure.parity import LIMITS, compare
from simcse_engine.session import feeds
from simcse_export import ExportOptions, export
from simcse_export.checkpoint.architecture import ACTIVATIONS
from support.checkpoints import CORPUS, edit_weights, make_checkpoint
from support.forward import TEXTS
from support.maker import Maker, short_calibration

PRECISIONS = TARGETS["tensorrt"].precisions
KINDS = [*(("bert", pooler) for pooler in POOLERS), ("roberta", "cls"), ("roberta", "avg_first_last")]
KINDS += [("mpnet", "cls"), ("mpnet", "avg"), ("distilbert", "avg")]
INPUTS = ["input_ids", "position_ids", "attention_mask"]
# Cosine of a text alone and in a batch, which differ by padding: where a last bit of float16 moves, int8 may round to
# its neighbour.
ALONE = {"fp32": 0.9999999, "fp16": 0.99999, "int8": 0.999}

Make = Callable[..., Path]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """The artifact of a small model for TensorRT, made once; ``make(family, pooler)`` is its float32 one for CPUs."""
    maker, calibration = Maker(tmp_path_factory), short_calibration(tmp_path_factory)

    def make(family: str, pooler: str, precision: str = "") -> Path:
        options = ExportOptions(pooler=pooler)
        if precision:
            options = replace(options, target="tensorrt", precision=precision)
        if precision == "int8":
            options = replace(options, calibration=calibration)
        return maker.artifact(family, options)

    return make


def graph_of(folder: Path) -> onnx.ModelProto:
    return onnx.load(folder / GRAPH)


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_agrees_with_float32_on_cpus(make: Make, kind: tuple[str, str], precision: str) -> None:
    with Encoder(make(*kind, precision), device="cpu") as ours, Encoder(make(*kind)) as exact:
        vectors, reference = (each.encode(TEXTS, truncate="silent") for each in (ours, exact))
    agreement = compare(vectors, reference)
    assert agreement.min_cosine >= LIMITS[precision].min_cosine
    assert agreement.max_abs_difference <= LIMITS[precision].max_abs_difference
    assert agreement.mean_cosine >= {"fp32": 0.9999999, "fp16": 0.99999, "int8": 0.995}[precision]


@pytest.mark.parametrize("kind", [("bert", "avg_first_last"), ("roberta", "cls"), ("mpnet", "avg")], ids="-".join)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_padding_changes_nothing(make: Make, kind: tuple[str, str], precision: str) -> None:
    with Encoder(make(*kind, precision), device="cpu") as encoder:
        # One run of all, padded to the longest, which the scheduler would have split.
        ids = encoder._tokenizer.encode([text for text in TEXTS if text]).ids
        lengths = np.array([len(each) for each in ids])
        session = encoder._runner.joint()
        together = session.run(np.concatenate(ids), lengths)
        alone = np.concatenate([session.run(np.array(each), np.array([len(each)])) for each in ids])
    assert len(set(lengths)) > 10
    assert compare(together, alone).min_cosine >= ALONE[precision]


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_holds_operators_of_onnx_alone(make: Make, kind: tuple[str, str], precision: str) -> None:
    model = graph_of(make(*kind, precision))
    assert {node.domain for node in model.graph.node} == {""}
    onnx.checker.check_model(model, full_check=True)
    operators = {node.op_type for node in model.graph.node}
    # Nothing that depends on values or computes shapes: a compiler would have to leave it to another provider.
    assert not operators & {"If", "Loop", "Scan", "NonZero", "Range", "ConstantOfShape"}
    # But for a bias of attention, which is cut to the longest sentence.
    assert [node.op_type for node in model.graph.node].count("Shape") == (kind[0] == "mpnet")
    # It takes this one where the axis is a constant.
    sums = [node.input[1] for node in model.graph.node if node.op_type == "CumSum"]
    assert {*sums} <= {tensor.name for tensor in model.graph.initializer}
    assert len(sums) == (kind[1] == "weightedmean")
    assert [each.name for each in model.graph.input] == INPUTS
    for each in model.graph.input:
        assert each.type.tensor_type.elem_type == TensorProto.INT32
        assert [dim.dim_param for dim in each.type.tensor_type.shape.dim] == ["sentences", "longest"]
    (output,) = model.graph.output
    assert output.name == "sentence_embedding"
    assert output.type.tensor_type.elem_type == TensorProto.FLOAT


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation(tmp_path: Path, activation: str) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", hidden_act=activation, num_hidden_layers=1)
    # Export itself compares it with transformers.
    manifest = export(
        checkpoint, tmp_path / "artifact", ExportOptions(pooler="cls", precision="fp16", target="tensorrt")
    )
    assert manifest.parity is not None
    assert {node.domain for node in graph_of(tmp_path / "artifact").graph.node} == {""}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_what_is_published_is_not_verified_yet(make: Make, precision: str) -> None:
    manifest = Manifest.read(make("bert", "cls", precision))
    assert manifest.to_json()["verified"] is None
    assert manifest.parity is not None
    assert (manifest.target, manifest.layout, manifest.engines) == ("tensorrt", "grid", {})
    assert manifest.max_batch == 64
    assert Manifest.read(make("bert", "cls")).max_batch is None


def test_int8_is_symmetric_and_stated_in_pairs(make: Make) -> None:
    model = graph_of(make("bert", "avg", "int8"))
    constants = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    makers = {name: node for node in model.graph.node for name in node.output}
    readers: dict[str, list[str]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node.op_type)
    weights = activations = 0
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear":
            assert readers[node.output[0]] == ["DequantizeLinear"]
        if node.op_type != "DequantizeLinear":
            continue
        if node.input[0] in constants:  # a weight: a scale a column, and no zero point
            assert len(node.input) == 2
            assert constants[node.input[0]].dtype == np.int8
            assert constants[node.input[0]].min() >= -127
            assert constants[node.input[1]].shape == constants[node.input[0]].shape[1:]
            weights += 1
        else:
            before = makers[node.input[0]]
            assert before.op_type == "QuantizeLinear"
            assert list(before.input[1:]) == list(node.input[1:])
            assert constants[node.input[1]].shape == ()
            assert constants[node.input[2]] == np.int8(0)
            activations += 1
        assert set(readers[node.output[0]]) == {"MatMul"}
    # Queries, keys and values read one input; attention's output, up and down one each.
    assert (weights, activations) == (3 * 6, 3 * 4)


def test_in_int8_the_rest_is_float16(make: Make) -> None:
    model = graph_of(make("bert", "cls", "int8"))
    kinds = {each.name: each.data_type for each in model.graph.initializer}
    assert kinds["embeddings.word_embeddings.weight"] == TensorProto.FLOAT16
    assert kinds["pooler.dense.weight"] == TensorProto.FLOAT16
    assert kinds["encoder.layer.0.output.LayerNorm.weight"] == TensorProto.FLOAT


@pytest.fixture(scope="module")
def wide_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose second feed-forward layer gives numbers beyond float16, and whose result is as it was."""
    up, down = "encoder.layer.1.intermediate.dense", "encoder.layer.1.output.dense"
    factors = {f"{up}.weight": 2e5, f"{up}.bias": 2e5, f"{down}.weight": 1 / 2e5}
    return edit_weights(
        make_checkpoint(tmp_path_factory.mktemp("wide") / "checkpoint", hidden_act="relu"),
        lambda state: {name: tensor * factors.get(name, 1) for name, tensor in state.items()},
    )


def test_layers_too_wide_for_float16_stay_in_float32(wide_checkpoint: Path, tmp_path: Path) -> None:
    exact = export(wide_checkpoint, tmp_path / "exact", ExportOptions(pooler="avg"))
    export(wide_checkpoint, tmp_path / "half", ExportOptions(pooler="avg", precision="fp16", target="tensorrt"))
    kinds = {each.name: each.data_type for each in graph_of(tmp_path / "half").graph.initializer}
    singles = {name for name, kind in kinds.items() if kind == TensorProto.FLOAT and "dense" in name}
    assert singles == {
        *("encoder.layer.1.intermediate.dense.weight", "encoder.layer.1.intermediate.dense.bias"),
        *("encoder.layer.1.output.dense.weight", "encoder.layer.1.output.dense.bias"),
    }
    assert exact.parity is not None
    with Encoder(tmp_path / "half", device="cpu") as half, Encoder(tmp_path / "exact") as full:
        assert compare(half.encode(CORPUS), full.encode(CORPUS)).min_cosine >= LIMITS["fp16"].min_cosine


def test_a_model_too_wide_for_float16_has_none_of_it_in_int8(wide_checkpoint: Path, tmp_path: Path) -> None:
    export(wide_checkpoint, tmp_path / "int8", ExportOptions(pooler="avg", precision="int8", target="tensorrt"))
    model = graph_of(tmp_path / "int8")
    assert TensorProto.FLOAT16 not in {each.data_type for each in model.graph.initializer}
    assert any(node.op_type == "QuantizeLinear" for node in model.graph.node)


def test_the_longest_run_is_said(checkpoint: Path, tmp_path: Path) -> None:
    options = ExportOptions(pooler="cls", target="tensorrt", precision="fp16", max_tokens=16, max_batch=5)
    manifest = export(checkpoint, tmp_path / "artifact", options)
    assert (manifest.max_batch, manifest.max_tokens) == (5, 16)
    with pytest.raises(InputValueError, match="at least 1"):
        ExportOptions(target="tensorrt", max_batch=0)


def test_on_its_own_device_it_is_not_run_elsewhere(make: Make) -> None:
    with pytest.raises(ProviderError, match="no NVIDIA driver here"):
        Encoder(make("bert", "cls", "fp16"))


def test_a_run_is_a_row_a_sentence(make: Make) -> None:
    assert Manifest.read(make("roberta", "cls", "fp16")).padding_id == 1
    arrays = feeds.grid(np.array([0, 5, 1, 2, 0, 2]), np.array([4, 2]), 1)
    assert list(arrays) == ["attention_mask", "input_ids", "position_ids"]
    assert arrays["input_ids"].tolist() == [[0, 5, 1, 2], [0, 2, 0, 0]]
    assert arrays["position_ids"].tolist() == [[2, 3, 1, 4], [2, 3, 0, 0]]
    assert arrays["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
