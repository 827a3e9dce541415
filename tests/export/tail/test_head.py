"""A graph behind the pooler: what its file computes on its own, in every target, and refused where it is unsound."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from simcse_engine.errors import CheckpointError
from simcse_export import ExportOptions, export
from simcse_export.tail.head import OnnxHead
from support.checkpoints import make_checkpoint, make_sentence_transformers
from support.forward import assert_equal, forward

FLOAT = TensorProto.FLOAT


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("head") / "checkpoint", num_hidden_layers=1)


def save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    *,
    opset: int = 17,
    shapes: Sequence[Sequence[Any]] = (("n", 32), ("n", None)),
    inputs: int = 1,
    weights: dict[str, np.ndarray] | None = None,
    **settings: Any,
) -> Path:
    """An ONNX file from "x" to "y" with a matrix "w" [32, 20] and more."""
    arrays = {"w": np.random.default_rng(0).normal(size=(32, 20)).astype(np.float32) / 6, **(weights or {})}
    ends = [helper.make_tensor_value_info(f"x{i or ''}", FLOAT, shapes[0]) for i in range(inputs)]
    result = helper.make_tensor_value_info("y", FLOAT, shapes[1])
    initializers = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "head", ends, [result], initializers)
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    onnx.save_model(helper.make_model(graph, opset_imports=imports, ir_version=8), path, **settings)
    return path


def flow(path: Path, **settings: Any) -> Path:
    """A coupling, as flows have them: one half of the numbers moves and scales the other."""
    node = helper.make_node
    nodes = [
        node("MatMul", ["x", "w"], ["h"]),
        node("Split", ["h"], ["a", "b"], axis=1),
        node("Tanh", ["a"], ["t"]),
        node("Exp", ["t"], ["e"]),
        node("Mul", ["b", "e"], ["m"]),
        node("Add", ["m", "t"], ["c"]),
        node("Concat", ["a", "c"], ["y"], axis=1),
    ]
    return save(path, nodes, **settings)


def test_vectors_are_those_of_the_file_on_its_own(checkpoint: Path, tmp_path: Path) -> None:
    head = flow(tmp_path / "flow.onnx")
    manifest = export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="avg", head=head))
    assert manifest.dimension == 20
    (facts,) = manifest.architecture["tail"]
    assert (facts["kind"], facts["dimensions"], facts["file"]) == ("head", 20, "flow.onnx")
    (expected,) = ReferenceEvaluator(onnx.load(head)).run(None, {"x": forward(checkpoint, "avg", normalize=False)})
    assert_equal(tmp_path / "artifact", expected / np.linalg.norm(expected, axis=1, keepdims=True), within=5e-6)


@pytest.mark.parametrize(
    ("target", "precision"), [("cpu", "int8"), ("cuda", "fp16"), ("tensorrt", "fp16"), ("tensorrt", "int8")]
)
def test_every_target(checkpoint: Path, tmp_path: Path, target: str, precision: str) -> None:
    node = helper.make_node("Gemm", ["x", "w"], ["y"])
    options = ExportOptions(pooler="avg", target=target, precision=precision, head=save(tmp_path / "h.onnx", [node]))
    assert export(checkpoint, tmp_path / "artifact", options).dimension == 20


@pytest.mark.parametrize("opset", [11, 13, 18, 20])
def test_other_opsets(checkpoint: Path, tmp_path: Path, opset: int) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Tanh", ["h"], ["y"])]
    options = ExportOptions(pooler="avg", head=save(tmp_path / "h.onnx", nodes, opset=opset))
    assert export(checkpoint, tmp_path / "artifact", options).dimension == 20


def test_weights_in_a_file_beside_it(checkpoint: Path, tmp_path: Path) -> None:
    inside = export(checkpoint, tmp_path / "1", ExportOptions(pooler="avg", head=flow(tmp_path / "h.onnx")))
    (tmp_path / "beside").mkdir()
    beside = flow(tmp_path / "beside/h.onnx", save_as_external_data=True, location="h.data", size_threshold=0)
    assert (tmp_path / "beside/h.data").is_file()
    outside = export(checkpoint, tmp_path / "2", ExportOptions(pooler="avg", head=beside))
    assert outside.dimension == inside.dimension == 20
    assert inside.model != export(checkpoint, tmp_path / "3", ExportOptions(pooler="avg")).model


def test_another_head_is_another_model(checkpoint: Path, tmp_path: Path) -> None:
    heads = flow(tmp_path / "a.onnx"), save(tmp_path / "b.onnx", [helper.make_node("Gemm", ["x", "w"], ["y"])])
    models = [export(checkpoint, tmp_path / head.stem, ExportOptions(pooler="avg", head=head)).model for head in heads]
    assert len({*models}) == 2


@pytest.mark.parametrize("location", ["../outside.data", "/etc/passwd", "link.data", "sub/h.data", "missing.data"])
def test_weights_elsewhere_are_not_read(tmp_path: Path, location: str) -> None:
    head = flow(tmp_path / "h.onnx", save_as_external_data=True, location="h.data", size_threshold=0)
    (tmp_path / "link.data").symlink_to("/etc/passwd")
    model = onnx.load(head, load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = location
    head.write_bytes(model.SerializeToString())
    with pytest.raises(CheckpointError, match=r"h\.onnx: refers to .*; expected a file that lies beside it"):
        OnnxHead(head, 32)


def node(*arguments: Any, **attributes: Any) -> list[onnx.NodeProto]:
    return [helper.make_node(*arguments, **attributes)]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path, "no such file; expected an ONNX file"),
        (lambda path: path.mkdir() or path, "is a folder"),
        (lambda path: path.write_bytes(b"\x08\xff\xff") and path, "is no ONNX file|is no sound ONNX graph"),
        (lambda path: path.write_bytes(b"") or path, "is no sound ONNX graph"),
        (lambda path: save(path, node("Gelu", ["x"], ["y"], domain="com.microsoft")), "an operator Gelu of 'com.micro"),
        (lambda path: save(path, node("Softmax", ["x"], ["y"], axis=0)), "depends on the rows beside it"),
        (lambda path: save(path, node("Log", ["x"], ["y"])), "gives NaN or infinity"),
        (lambda path: save(path, node("Nonsense", ["x"], ["y"])), "is no sound ONNX graph"),
        (lambda path: save(path, node("Add", ["x", "x1"], ["y"]), inputs=2), "takes x, x1 and gives y; expected one"),
        (lambda path: save(path, node("Tanh", ["x"], ["y"]), shapes=(("n", 31), ("n", 31))), r"expected float32 \[any"),
        (
            lambda path: save(path, node("Tanh", ["x"], ["y"]), shapes=((1, 32), (1, 32))),
            r"takes .*\[1, 32\]; expected",
        ),
        (lambda path: save(path, node("Cast", ["x"], ["y"], to=FLOAT), shapes=(("n",), ("n",))), "expected float32"),
        (lambda path: save(path, node("RandomNormalLike", ["x"], ["y"])), "depends on the rows beside it"),
        (lambda path: save(path, node("ReduceSum", ["x"], ["y"], keepdims=1)), "expected a row of float32 for each"),
        (lambda path: save(path, node("MatMul", ["x", "v"], ["y"]), weights={"v": np.ones((9, 3), np.float32)}), ""),
    ],
)
def test_what_is_unsound_is_refused(tmp_path: Path, make: Callable[[Path], Path], says: str) -> None:
    with pytest.raises(CheckpointError, match=rf"head\.onnx: .*({says})"):
        OnnxHead(make(tmp_path / "head.onnx"), 32)


def test_a_head_that_cannot_be_converted_is_refused_before_the_work(checkpoint: Path, tmp_path: Path) -> None:
    head = save(tmp_path / "h.onnx", node("Gelu", ["x"], ["y"]), opset=20, shapes=(("n", 32), ("n", 32)))
    lines: list[str] = []
    with pytest.raises(CheckpointError, match=r"h\.onnx: is of opset 20, and cannot be converted to 17"):
        export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="avg", head=head), say=lines.append)
    assert [line[:4] for line in lines] == ["[1/4"]


def test_functions_and_two_versions_are_refused(tmp_path: Path) -> None:
    head = save(tmp_path / "h.onnx", node("Tanh", ["x"], ["y"]))
    twice, own = onnx.load(head), onnx.load(head)
    twice.opset_import.append(helper.make_opsetid("ai.onnx", 16))
    function = helper.make_function("", "Tanh", ["a"], ["b"], node("Neg", ["a"], ["b"]), [helper.make_opsetid("", 17)])
    own.functions.append(function)
    for model, says in (twice, "states the version of ONNX's operators twice"), (own, "functions of its own, .*'Tanh'"):
        head.write_bytes(model.SerializeToString())
        with pytest.raises(CheckpointError, match=rf"h\.onnx: .*{says}"):
            OnnxHead(head, 32)


def test_a_head_gets_what_the_folder_gives(tmp_path: Path) -> None:
    folder = make_sentence_transformers(tmp_path / "folder", num_hidden_layers=1)
    head = flow(tmp_path / "flow.onnx")
    manifest = export(folder, tmp_path / "artifact", ExportOptions(head=head, max_tokens=64))
    assert [part["kind"] for part in manifest.architecture["tail"]] == ["unit", "head"]
    (expected,) = ReferenceEvaluator(onnx.load(head)).run(None, {"x": forward(folder, "avg")})
    assert_equal(tmp_path / "artifact", expected / np.linalg.norm(expected, axis=1, keepdims=True), within=5e-6)
    # Its name is none of the model's.
    renamed = export(folder, tmp_path / "2", ExportOptions(head=head.rename(tmp_path / "other.onnx"), max_tokens=64))
    assert (renamed.model, renamed.identity) == (manifest.model, manifest.identity)


def test_a_head_that_fails_on_real_vectors(checkpoint: Path, tmp_path: Path) -> None:
    head = save(tmp_path / "h.onnx", node("Gemm", ["x", "w"], ["y"], alpha=3e38))
    with pytest.raises(CheckpointError, match="NaN or infinity"):
        export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="avg", head=head))
    assert not (tmp_path / "artifact").exists()
