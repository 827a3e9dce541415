"""Plans of TensorRT for RTX are really compiled here, for GPUs that are not here."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from simcse_engine import Encoder
from simcse_engine.artifact.manifest import GRAPH, Manifest
from simcse_engine.artifact.opening import open_artifact
from simcse_engine.errors import CompileError, InputValueError, ProviderError, RuntimeMissingError
from simcse_engine.session.library import import_runtime
from simcse_engine.session.tensorrt import libraries
from simcse_engine.session.tensorrt.libraries import RTX
from simcse_export import ExportOptions, export
from simcse_export.tensorrt import rtx
from support.checkpoints import CORPUS
from support.maker import Maker

try:
    libraries.load_rtx()
except RuntimeMissingError:
    pytest.skip("TensorRT for RTX comes for Linux on x86_64 alone", allow_module_level=True)

CAPABILITIES = (89, 120)
SIZES = {"min": [1, 1], "opt": [8, 32], "max": [8, 48]}
# Where a plan's header names the GPUs that it is for, and the bit of each.
HEADER_CAPABILITY, BITS = 32, {86: 0x04, 89: 0x08, 120: 0x10, 121: 0x20}

Make = Callable[[str], Path]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """The artifact of a small model in a precision, with plans for two kinds of GPU."""
    maker = Maker(tmp_path_factory)
    options = ExportOptions(
        pooler="cls", target="tensorrt-rtx", compute_capability=CAPABILITIES, max_tokens=48, max_batch=8
    )

    def make(precision: str) -> Path:
        return maker.artifact("bert", replace(options, precision=precision))

    return make


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_an_artifact_holds_a_plan_for_each_capability(make: Make, precision: str) -> None:
    manifest = open_artifact(make(precision))
    assert list(manifest.engines) == ["89", "120"]
    assert manifest.verified is None
    contents = []
    for capability, plan in zip(CAPABILITIES, manifest.engines.values(), strict=True):
        assert plan.compute_capability == capability
        assert plan.builder == f"tensorrt-rtx {libraries.load_rtx()}"
        assert plan.gpu is None
        assert plan.profile == SIZES
        assert {plan.graph, plan.file} <= set(manifest.files)
        contents.append((make(precision) / plan.file).read_bytes())
        assert contents[-1][HEADER_CAPABILITY] == BITS[capability]
    assert contents[0] != contents[1]


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_the_compiler_sees_the_graph_as_it_was_written(make: Make, precision: str) -> None:
    compiler = rtx._Compiler(make(precision) / GRAPH, SIZES)
    trt, network = compiler.trt, compiler.network
    # One part that the parser takes, and it holds every node.
    graph = onnx.load(make(precision) / GRAPH).graph
    assert compiler.parser.num_subgraphs == 1
    assert sorted(compiler.parser.get_subgraph_nodes(0)) == list(range(len(graph.node)))
    assert compiler.parser.num_errors == 0
    inputs = [network.get_input(i) for i in range(network.num_inputs)]
    assert [each.name for each in inputs] == ["input_ids", "position_ids", "attention_mask"]
    assert all(each.dtype == trt.int32 and list(each.shape) == [-1, -1] for each in inputs)
    assert network.num_outputs == 1
    output = network.get_output(0)
    assert (output.name, output.dtype, list(output.shape)) == ("sentence_embedding", trt.float32, [-1, 32])
    profile = compiler.profile()
    for each in inputs:
        assert [list(size) for size in profile.get_shape(each.name)] == [SIZES["min"], SIZES["opt"], SIZES["max"]]
    kinds = [network.get_layer(i).type for i in range(network.num_layers)]
    quantized = sum(node.op_type == "QuantizeLinear" for node in graph.node)
    assert kinds.count(trt.LayerType.QUANTIZE) == quantized
    assert (quantized > 0) == (precision == "int8")


def test_products_are_of_the_precision_of_the_options(make: Make) -> None:
    for precision, kind in (("fp16", "float16"), ("fp32", "float32")):
        compiler = rtx._Compiler(make(precision) / GRAPH, SIZES)
        layers = [compiler.network.get_layer(i) for i in range(compiler.network.num_layers)]
        products = [each for each in layers if each.type == compiler.trt.LayerType.MATRIX_MULTIPLY]
        assert len(products) > 3 * 6
        assert {each.get_output(0).dtype for each in products} == {getattr(compiler.trt, kind)}


def test_the_same_graph_gives_the_same_plan(make: Make) -> None:
    manifest = Manifest.read(make("fp16"))
    compiler = rtx._Compiler(make("fp16") / GRAPH, manifest.engines["89"].profile)
    assert compiler.build(89) == (make("fp16") / manifest.engines["89"].file).read_bytes()


def test_the_runtime_takes_the_plan_s_graph_for_the_plugin_s(make: Make) -> None:
    model = onnx.load(make("fp16") / "engine-89.onnx")
    (node,) = model.graph.node
    attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    assert (node.op_type, node.domain) == ("EPContext", "com.microsoft")
    assert attributes["ep_cache_context"] == b"engine-89.plan"
    assert attributes["source"] == RTX.encode()
    assert attributes["embed_mode"] == 0
    (properties,) = model.metadata_props
    assert properties.key == f"ep_compatibility_info.{RTX}"
    assert (make("fp16") / "engine-89.plan").read_bytes().startswith(bytes.fromhex(properties.value))
    ort = import_runtime()
    # Read and understood: it knows whose node this is, and that this provider is not here.
    with pytest.raises(Exception, match=f"EPContext node generated by '{RTX}' is not compatible with any"):
        ort.InferenceSession(str(make("fp16") / "engine-89.onnx"), providers=["CPUExecutionProvider"])


def test_the_graph_beside_the_plans_runs_on_a_cpu(make: Make) -> None:
    with Encoder(make("fp16"), device="cpu") as encoder:
        assert encoder.encode(CORPUS).shape == (len(CORPUS), 32)
    with pytest.raises(ProviderError, match="no NVIDIA driver here"):
        Encoder(make("fp16"))


def test_unknown_capabilities_are_refused_before_any_work(checkpoint: Path, tmp_path: Path) -> None:
    options = ExportOptions(pooler="cls", precision="fp16", target="tensorrt-rtx", compute_capability=(75, 89, 90))
    lines: list[str] = []
    with pytest.raises(
        InputValueError, match=r"compute_capability=75,90: .* for 86, 89, 120, 121; .*target='tensorrt'"
    ):
        export(checkpoint, tmp_path / "artifact", options, say=lines.append)
    assert len(lines) == 1
    assert not (tmp_path / "artifact").exists()
    rtx.check_capabilities([86, 89, 120, 121])


def test_a_node_that_the_compiler_does_not_take_is_named(make: Make, tmp_path: Path) -> None:
    model = onnx.load(make("fp16") / GRAPH)
    node = next(each for each in model.graph.node if each.op_type == "Softmax")
    node.op_type, node.domain = "NoSuchOperator", "com.example"
    onnx.save_model(model, tmp_path / GRAPH)
    with pytest.raises(CompileError, match=rf"does not take the graph: .*{node.name} \(NoSuchOperator\)"):
        rtx.compile_plans(tmp_path, [89], max_batch=8, max_tokens=48)


def test_where_no_plan_comes_of_a_graph_the_compiler_s_reasons_are_told(tmp_path: Path) -> None:
    # Sentences of just 4 tokens, where the profile asks for any number.
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT32, ["sentences", 4])
    vectors = helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, ["sentences", 4])
    cast = helper.make_node("Cast", ["input_ids"], ["sentence_embedding"], to=TensorProto.FLOAT)
    graph = helper.make_graph([cast], "simcse", [ids], [vectors])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save_model(model, tmp_path / GRAPH)
    with pytest.raises(CompileError, match=r"no plan for compute capability 89: .*Dimension mismatch .*input_ids"):
        rtx.compile_plans(tmp_path, [89], max_batch=8, max_tokens=48)
    assert {path.name for path in tmp_path.iterdir()} == {GRAPH}


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simcse_engine.session.tensorrt.libraries._PLUGIN", "no_such_package")
    with pytest.raises(RuntimeMissingError, match=r"not installed; pip install 'simcse-engine\[tensorrt-rtx\]'"):
        rtx.check_capabilities([89])


def test_options_that_do_not_go_together() -> None:
    options = ExportOptions(target="tensorrt-rtx", compute_capability=(89,))
    with pytest.raises(InputValueError, match="name the GPUs' compute capabilities"):
        replace(options, compute_capability=())
    with pytest.raises(InputValueError, match="for target tensorrt-rtx"):
        replace(options, target="tensorrt")
