"""Our own operators: the nodes that a graph has of them, and functions that give the bits of the spelled-out graph."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto

from simcse_engine import Encoder
from simcse_engine.artifact.kinds import POOLERS
from simcse_engine.artifact.manifest import GRAPH
from simcse_export import ExportOptions, export
from simcse_export.checkpoint.architecture import ACTIVATIONS, TOKEN_TYPES, Architecture, Weights
from simcse_export.checkpoint.checkpoint import open_checkpoint
from simcse_export.checkpoint.weights import load_weights, select
from simcse_export.graph.bert import author
from simcse_export.graph.dialects.bf16 import CpuBf16
from simcse_export.graph.dialects.dialect import Dialect
from simcse_export.graph.dialects.int8 import CpuInt8
from simcse_export.graph.functions import Function
from simcse_export.graph.nodes import Graph
from simcse_export.graph.operators import DOMAIN, FLOAT_OPERATORS, QUANTIZED_OPERATORS
from simcse_export.graph.pooling import AVERAGED, FIRST_TOKEN
from simcse_export.int8.quantize import quantize
from support.checkpoints import make_checkpoint
from support.child import run_script
from support.environments import overlay

LEVELS = ("ORT_DISABLE_ALL", "ORT_ENABLE_BASIC", "ORT_ENABLE_ALL")
PRECISIONS = ("fp32", "bf16", "int8")
KINDS = list(itertools.product(("bert", "roberta"), POOLERS))
KINDS += [("mpnet", "cls"), ("mpnet", "avg"), ("distilbert", "avg")]
LAYERS = 3

LINEAR = ("weight", "bias")
QUANTIZED = ("weight", "scale", "bias")


def inputs(*groups: tuple[str, Sequence[str]]) -> list[str]:
    return [f"{name}.{part}" if name else part for name, parts in groups for part in parts]


# The interface that kernels rely on: each operator's inputs in order, written out once more.
PROJECTIONS = ("query", "key", "value")
NORMS = ("gamma", "beta")
FLOAT_LAYER = [
    *("states", "lengths"),
    *inputs(*((name, LINEAR) for name in (*PROJECTIONS, "output")), ("attention_norm", NORMS)),
    *inputs(("up", LINEAR), ("down", LINEAR), ("norm", NORMS)),
    "attention.bias",
]
QUANTIZED_ATTENTION = [
    *("states", "lengths", "attention.smooth", "attention.scale", "attention.zero"),
    *inputs(*((name, QUANTIZED) for name in PROJECTIONS)),
]
QUANTIZED_UP = inputs(("up", ("smooth", "input_scale", "zero", *QUANTIZED)))
ON_INTEGERS = ("input_scale", "zero", *QUANTIZED)
SIGNATURES = {
    "Embeddings": ["ids", "lengths", "words", "positions", "gamma", "beta"],
    "Layer": FLOAT_LAYER,
    "FirstLayer": FLOAT_LAYER,
    "Pooling": ["states", "lengths", "other", "head.weight", "head.bias"],
    "QuantizedEmbeddings": [
        *("ids", "lengths", "words", "words.scale", "positions", "positions.scale", "gamma", "beta"),
    ],
    "QuantizedLayer": [
        *QUANTIZED_ATTENTION,
        *inputs(("output", ON_INTEGERS), ("attention_norm", NORMS)),
        *QUANTIZED_UP,
        *inputs(("down", ON_INTEGERS), ("norm", NORMS)),
        "attention.bias",
    ],
    "QuantizedFirstLayer": [
        *QUANTIZED_ATTENTION,
        *inputs(("output", LINEAR), ("attention_norm", NORMS)),
        *QUANTIZED_UP,
        *inputs(("down", LINEAR), ("norm", NORMS)),
        "attention.bias",
    ],
}


class PlainFloat(Dialect):
    """Without operators of ours."""

    operators: ClassVar = {}


class PlainInt8(CpuInt8):
    """Without operators of ours."""

    operators: ClassVar = {}


class PlainBf16(CpuBf16):
    """Without operators of ours."""

    operators: ClassVar = {}


class Written:
    """A checkpoint's numbers and weights, to be written in any precision."""

    def __init__(self, checkpoint: Path) -> None:
        numbers = Architecture.of(open_checkpoint(checkpoint).config)
        assert numbers is not None
        self.numbers = numbers
        self._weights = load_weights(checkpoint)

    def weights(self, pooler: str) -> Weights:
        return select(self._weights, self.numbers.shapes(pooler), optional=[TOKEN_TYPES])

    def models(
        self, precision: str, pooler: str, *, normalize: bool = True, truncate_dim: int | None = None
    ) -> tuple[onnx.ModelProto, onnx.ModelProto]:
        """The graph with operators of ours, and the one that spells everything out."""
        weights = self.weights(pooler)
        ours: Dialect = Dialect() if precision == "fp32" else CpuBf16()
        plain: Dialect = PlainFloat() if precision == "fp32" else PlainBf16()
        if precision == "int8":
            random = np.random.default_rng(0)
            sentences = [random.integers(5, 40, 2 + i % 15).tolist() for i in range(64)]
            layers = quantize(self.numbers, weights, sentences, first_only=pooler in FIRST_TOKEN)
            ours, plain = CpuInt8(layers), PlainInt8(layers)
        model, spelled = (
            author(self.numbers, weights, dialect, pooler=pooler, normalize=normalize, truncate_dim=truncate_dim)
            for dialect in (ours, plain)
        )
        return model, spelled


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Written]:
    made: dict[str, Written] = {}

    def get(family: str) -> Written:
        if family not in made:
            made[family] = Written(make_checkpoint(tmp_path_factory.mktemp(family), model_type=family))
        return made[family]

    return get


def runs(precision: str) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Token ids end to end and lengths; int8 takes sentences of one length a run."""
    random = np.random.default_rng(1)
    lengths = [[2], [9], [3, 3, 3], [17, 17]]
    if precision != "int8":
        lengths += [[2, 9, 4, 30], [1, 2]]
    return [(random.integers(0, 40, sum(each)), np.array(each)) for each in lengths]


def vectors(model: onnx.ModelProto, precision: str, level: str) -> list[NDArray[np.float32]]:
    """What a plain session of the runtime gives, which has never heard of our operators."""
    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    session = onnxruntime.InferenceSession(model.SerializeToString(), settings)
    return [session.run(None, {"input_ids": ids, "lengths": lengths})[0] for ids, lengths in runs(precision)]


def assert_same_bits(models: tuple[onnx.ModelProto, onnx.ModelProto], precision: str) -> None:
    for level in LEVELS:
        ours, plain = (vectors(model, precision, level) for model in models)
        for one, other in zip(ours, plain, strict=True):
            assert one.size
            assert one.dtype == np.float32
            np.testing.assert_array_equal(one, other)


def test_the_signatures() -> None:
    found = {
        operator.name: list(operator.inputs)
        for operators in (FLOAT_OPERATORS, QUANTIZED_OPERATORS)
        for operator in operators.values()
    }
    assert found == SIGNATURES


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("family", "pooler"), KINDS)
def test_a_graph_is_nodes_of_ours(written: Callable[[str], Written], family: str, pooler: str, precision: str) -> None:
    numbers = written(family).numbers
    model, _ = written(family).models(precision, pooler, truncate_dim=16)
    onnx.checker.check_model(model)
    prefix = "Quantized" if precision == "int8" else ""
    first_only = pooler in FIRST_TOKEN
    layers = [f"{prefix}Layer"] * (LAYERS - first_only) + [f"{prefix}FirstLayer"] * first_only
    assert [node.op_type for node in model.graph.node] == [f"{prefix}Embeddings", *layers, "Pooling", "Identity"]
    assert {(function.domain, function.name) for function in model.functions} == {
        (DOMAIN, node.op_type) for node in model.graph.node[:-1]
    }
    constants = {tensor.name for tensor in model.graph.initializer}
    functions = {function.name: function for function in model.functions}
    for node in model.graph.node[:-1]:
        signature = SIGNATURES[node.op_type]
        assert list(functions[node.op_type].input) == signature[: len(node.input)]
        given = dict(zip(signature, node.input, strict=False))
        if node.op_type != "Pooling":
            biased = "attention.bias" in signature and family == "mpnet"
            assert list(given) == [name for name in signature if biased or name != "attention.bias"]
            assert all(given.values())
        assert all(given[name] in constants for name in signature[2:] if given.get(name) and name != "other")
        assert given["lengths"] == "lengths"
        assert sorted(functions[node.op_type].attribute) == [each.name for each in node.attribute]
    attributes = [{a.name: onnx.helper.get_attribute_value(a) for a in node.attribute} for node in model.graph.node]
    epsilon = pytest.approx(numbers.epsilon)
    padding_id = -1 if family in ("bert", "distilbert") else numbers.padding_id
    assert attributes[0] == {"epsilon": epsilon, "padding_id": padding_id}
    assert attributes[1] == {"heads": numbers.heads, "epsilon": epsilon, "activation": b"gelu"}
    kind = "first" if first_only else "mean" if pooler in AVERAGED else pooler
    assert attributes[-2] == {"pooler": kind.encode(), "dimension": 16, "normalize": 1}
    pooling = model.graph.node[-2]
    assert len(pooling.input) == {"cls": 5, "avg_top2": 3, "avg_first_last": 3}.get(pooler, 2)
    # The states that a pooler averages; see `AVERAGED`.
    outputs = [node.output[0] for node in model.graph.node]
    states = [outputs[:-2][i] for i in AVERAGED.get(pooler, (-1,))]
    assert [each for each in (pooling.input[0], *pooling.input[2:3]) if each] == states


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("family", "pooler"), KINDS)
def test_the_functions_give_the_bits_of_the_spelled_graph(
    written: Callable[[str], Written], family: str, pooler: str, precision: str
) -> None:
    assert_same_bits(written(family).models(precision, pooler), precision)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("pooler", POOLERS)
def test_vectors_as_they_are(written: Callable[[str], Written], pooler: str, precision: str) -> None:
    # With neither norm nor head, a function may have nothing to do.
    assert_same_bits(written("bert").models(precision, pooler, normalize=False), precision)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "quick_gelu", "silu", "relu", "tanh"])
def test_every_activation(tmp_path: Path, activation: str, precision: str) -> None:
    models = Written(make_checkpoint(tmp_path, hidden_act=activation, num_hidden_layers=2)).models(precision, "avg")
    named = {a.s.decode() for node in models[0].graph.node for a in node.attribute if a.name == "activation"}
    assert named == {ACTIVATIONS[activation]}
    assert_same_bits(models, precision)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("hidden", "heads", "intermediate"), [(35, 5, 37), (33, 3, 70), (20, 20, 7), (48, 1, 96)])
def test_odd_sizes(tmp_path: Path, hidden: int, heads: int, intermediate: int, precision: str) -> None:
    numbers = {"hidden_size": hidden, "num_attention_heads": heads, "intermediate_size": intermediate}
    written = Written(make_checkpoint(tmp_path, num_hidden_layers=2, **numbers))
    for pooler in ("cls", "avg_first_last"):
        assert_same_bits(written.models(precision, pooler, truncate_dim=11), precision)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_one_layer(tmp_path: Path, precision: str) -> None:
    written = Written(make_checkpoint(tmp_path, num_hidden_layers=1))
    for pooler in POOLERS:
        assert_same_bits(written.models(precision, pooler), precision)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("release", "family"), [("1.22.0", "roberta"), ("1.23.0", "roberta"), ("1.22.0", "mpnet")])
def test_older_runtimes(
    written: Callable[[str], Written], tmp_path: Path, precision: str, release: str, family: str
) -> None:
    script = """
    import sys
    import numpy as np
    import onnxruntime

    folder, release = sys.argv[1:]
    assert onnxruntime.__version__ == release
    feeds = dict(np.load(f"{folder}/feeds.npz"))
    for name in ("ours", "plain"):
        for level in ("ORT_DISABLE_ALL", "ORT_ENABLE_BASIC", "ORT_ENABLE_ALL"):
            settings = onnxruntime.SessionOptions()
            settings.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
            session = onnxruntime.InferenceSession(f"{folder}/{name}.onnx", settings)
            np.save(f"{folder}/{name}-{level}.npy", session.run(None, feeds)[0])
    """
    for name, model in zip(("ours", "plain"), written(family).models(precision, "cls"), strict=True):
        onnx.save(model, tmp_path / f"{name}.onnx")
    ids, lengths = runs(precision)[-1]
    np.savez(tmp_path / "feeds.npz", input_ids=ids, lengths=lengths)
    path = str(overlay(f"onnxruntime=={release}"))
    run_script(script, tmp_path, release, PYTHONPATH=path, ORT_DISABLE_TELEMETRY="1")
    for level in LEVELS:
        ours, plain = (np.load(tmp_path / f"{name}-{level}.npy") for name in ("ours", "plain"))
        np.testing.assert_array_equal(ours, plain)


def test_weights_lie_in_the_graph_that_calls(written: Callable[[str], Written]) -> None:
    for precision in PRECISIONS:
        model, spelled = written("bert").models(precision, "cls")
        held = {tensor.name: tensor for tensor in model.graph.initializer}
        wanted = {t.name: t for t in spelled.graph.initializer if not t.name.startswith(("ints", "scalar", "least"))}
        assert held == wanted
        constants = [a.t for function in model.functions for node in function.node for a in node.attribute]
        assert all(len(tensor.raw_data) <= 64 for tensor in constants)


def test_a_bf16_graph_holds_bfloat16(written: Callable[[str], Written]) -> None:
    model, _ = written("bert").models("bf16", "cls")
    kinds = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    halves = {name for name, kind in kinds.items() if kind == TensorProto.BFLOAT16}
    linear = {name for name in kinds if name.startswith("encoder.") and "LayerNorm" not in name}
    assert halves == {"embeddings.word_embeddings.weight", *(name for name in linear if name.endswith(".weight"))}
    assert len(halves) == 1 + 6 * LAYERS
    assert {kinds[name] for name in kinds.keys() - halves} == {TensorProto.FLOAT}


def test_the_version_is_the_least_that_has_the_operators(written: Callable[[str], Written]) -> None:
    for family, version in (("bert", 1), ("mpnet", 2)):
        model, _ = written(family).models("fp32", "avg")
        assert [each.version for each in model.opset_import if each.domain == DOMAIN] == [version]


def test_a_function_is_one_function() -> None:
    def call(operator: str) -> None:
        function = Function(graph, FLOAT_OPERATORS["pooling"], "pooler")
        function.call(function.op(operator, "states"), {"states": "x", "lengths": "lengths"}, normalize=0)

    graph = Graph()
    for _ in range(2):
        call("Sqrt")
    assert [node.op_type for node in graph.nodes] == ["Pooling", "Pooling"]
    assert list(graph.functions) == ["Pooling"]
    with pytest.raises(ValueError, match="two functions are named Pooling"):
        call("Tanh")


def test_a_weight_has_an_input() -> None:
    function = Function(Graph(), FLOAT_OPERATORS["layer"], "encoder.layer.0")
    weight = np.zeros((8, 8), np.float32)
    assert function.weight("encoder.layer.0.output.dense.weight", weight) == "down.weight"
    with pytest.raises(ValueError, match=r"^Layer has no input for encoder\.layer\.1\.output\.dense\.weight"):
        function.weight("encoder.layer.1.output.dense.weight", weight)


@pytest.mark.transformers_4
def test_a_graph_without_operators_of_ours_imports_none(artifact: Path, tmp_path: Path) -> None:
    # Where there are kernels, they make the runtime write their domain into what it saves from here on.
    with Encoder(artifact) as encoder:
        encoder.encode(["a man plays"])
    checkpoint = make_checkpoint(tmp_path / "checkpoint", hidden_act="mish", num_hidden_layers=1)
    assert export(checkpoint, tmp_path / "mish", ExportOptions(pooler="avg")).architecture["graph"] == "optimum"
    imports = {}
    for folder in (artifact, tmp_path / "mish"):
        model = onnx.load(folder / GRAPH, load_external_data=False)
        imports[folder] = {each.domain for each in model.opset_import}
    assert DOMAIN in imports[artifact]
    assert DOMAIN not in imports[tmp_path / "mish"]
