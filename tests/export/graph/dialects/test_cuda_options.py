"""The spellings that a GPU has to choose between: all of them are the same model, in operators that the runtime has."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto
from onnxruntime.capi import onnxruntime_pybind11_state as runtime

from simcse_engine.artifact.manifest import GRAPH, WEIGHTS
from simcse_engine.measure.parity import LIMITS
from simcse_engine.session.cpu import CpuSession
from simcse_export.checkpoint.architecture import Architecture, Weights
from simcse_export.checkpoint.checkpoint import open_checkpoint
from simcse_export.checkpoint.weights import load_weights
from simcse_export.graph.bert import author
from simcse_export.graph.dialects.cuda import Cuda, CudaOnCpu, CudaOptions, folded
from support.checkpoints import make_checkpoint
from support.cuda_kernels import ON_CUDA, types

OPTIONS = {
    "usual": CudaOptions(),
    "packed": CudaOptions(packed=True),
    "tanh": CudaOptions(tanh_gelu=True),
    "both": CudaOptions(packed=True, tanh_gelu=True),
}
LENGTHS = np.array([7, 1, 20, 12, 3])
IDS = np.random.default_rng(0).integers(5, 40, int(LENGTHS.sum()))
Model = tuple[Architecture, Weights]


@pytest.fixture(scope="module", params=["bert", "mpnet"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Numbers and folded weights of a small model; MPNet's attention has a bias by distance."""
    checkpoint = make_checkpoint(tmp_path_factory.mktemp(request.param) / "checkpoint", model_type=request.param)
    numbers = Architecture.of(open_checkpoint(checkpoint).config)
    assert numbers is not None
    return numbers, folded(numbers, load_weights(checkpoint))


def vectors(model: Model, dialect: Cuda, pooler: str, folder: Path) -> NDArray[np.float32]:
    """What a CPU computes of the sentences at the top of this file."""
    folder.mkdir()
    graph = author(*model, dialect, pooler=pooler, normalize=True)
    onnx.save_model(graph, folder / GRAPH, save_as_external_data=True, location=WEIGHTS)
    return CpuSession(folder, layout="packed", padding_id=model[0].skipped_id).run(IDS, LENGTHS)


@pytest.mark.parametrize("pooler", ["avg", "cls_before_pooler"])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("name", ["packed", "tanh", "both"])
def test_all_are_the_same_model(model: Model, tmp_path: Path, name: str, precision: str, pooler: str) -> None:
    exact = vectors(model, CudaOnCpu("fp32"), pooler, tmp_path / "exact")
    spelled = vectors(model, CudaOnCpu(precision, (), OPTIONS[name]), pooler, tmp_path / "spelled")
    # One product is the same product; the approximation is another function, near enough for float16.
    limits = LIMITS["fp32" if (name, precision) == ("packed", "fp32") else "fp16"]
    assert np.abs(spelled - exact).max() < limits.max_abs_difference
    assert (spelled * exact).sum(axis=1).min() > limits.min_cosine


@pytest.mark.parametrize("name", OPTIONS)
def test_every_node_has_a_kernel_on_the_gpu(model: Model, name: str) -> None:
    graph = author(*model, Cuda("fp16", (), OPTIONS[name]), pooler="avg", normalize=True)
    dtypes = types(graph)
    for node in graph.graph.node:
        assert dtypes[node.input[0]] in ON_CUDA[node.domain, node.op_type], node
    assert {dtypes[node.input[0]] for node in graph.graph.node if node.op_type == "MatMul"} == {TensorProto.FLOAT16}


@pytest.mark.parametrize("name", OPTIONS)
def test_operators_are_those_of_the_runtime(model: Model, name: str) -> None:
    graph = author(*model, Cuda("fp16", (), OPTIONS[name]), pooler="avg", normalize=True)
    schemas = {schema.name: schema for schema in runtime.get_all_operator_schema() if schema.domain == "com.microsoft"}
    theirs = [node for node in graph.graph.node if node.domain == "com.microsoft"]
    assert theirs
    for node in theirs:
        schema = schemas[node.op_type]
        assert {attribute.name for attribute in node.attribute} <= schema.attributes.keys()
        required = [each.option.name == "Single" for each in schema.inputs]
        given = [bool(x) for x in node.input] + [False] * (len(required) - len(node.input))
        assert len(node.input) <= len(required)
        assert all(is_given or not is_required for is_given, is_required in zip(given, required, strict=True)), node
    onnx.checker.check_model(graph)


@pytest.mark.parametrize("name", OPTIONS)
def test_nodes_of_a_layer(model: Model, name: str) -> None:
    graph = author(*model, Cuda("fp16", (), OPTIONS[name]), pooler="avg", normalize=True)
    counts = Counter(node.op_type for node in graph.graph.node if "encoder.layer.0" in node.name)
    options = OPTIONS[name]
    assert counts == Counter(
        {
            "MatMul": 4 if options.packed else 6,
            # Queries' bias, or the shape that attention takes; a reshape moves nothing.
            "Reshape" if options.packed else "Add": 1,
            "PackedMultiHeadAttention": 1,
            "FastGelu" if options.tanh_gelu else "BiasGelu": 1,
            "SkipLayerNormalization": 2,
        }
    ) + Counter({"Slice": 2, "Shape": 1} if model[0].skipped_id is not None else {})


def test_layers_too_wide_for_float16_are_products_of_their_own(model: Model) -> None:
    wide = "encoder.layer.0.attention.self.value"
    graph = author(*model, Cuda("fp16", [wide], OPTIONS["packed"]), pooler="avg", normalize=True)
    kept = {tensor.name for tensor in graph.graph.initializer if tensor.data_type == TensorProto.FLOAT}
    assert f"{wide}.weight" in kept
    packed = [tensor.name for tensor in graph.graph.initializer if "packed" in tensor.name]
    assert len(packed) == model[0].layers - 1
