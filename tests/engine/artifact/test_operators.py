"""What a graph imports of our operators is read as every reader of ONNX reads it, or refused."""

import onnx
import pytest
from onnx import helper

from simcse_engine.artifact.operators import operators_version
from simcse_engine.artifact.protobuf import UnreadableGraphError


def model(*imports: tuple[str, int]) -> bytes:
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "simcse", [], [])
    made = helper.make_model(graph, producer_name="simcse", domain="simcse")
    del made.opset_import[:]
    made.opset_import.extend(helper.make_opsetid(domain, version) for domain, version in imports)
    return made.SerializeToString()


@pytest.mark.parametrize(
    ("imports", "version"),
    [
        ([("", 17)], None),
        ([("", 17), ("simcse", 1)], 1),
        ([("simcse", 300), ("", 17)], 300),
        ([("", 17), ("com.simcse", 1), ("simcse.other", 2), ("SIMCSE", 3)], None),
        ([], None),
    ],
)
def test_version(imports: list[tuple[str, int]], version: int | None) -> None:
    assert operators_version(model(*imports)) == version


def test_what_stands_elsewhere_does_not_count() -> None:
    """A function's own imports, a node's domain, metadata: only the model's imports say what its graph holds."""
    function = helper.make_function("simcse", "Layer", ["x"], ["y"], [], [helper.make_opsetid("simcse", 1)])
    node = helper.make_node("Layer", ["x"], ["y"], domain="simcse")
    made = helper.make_model(helper.make_graph([node], "g", [], []), functions=[function])
    helper.set_model_props(made, {"simcse": "1"})
    assert operators_version(made.SerializeToString()) is None


def test_two_imports_are_refused() -> None:
    with pytest.raises(UnreadableGraphError, match="imports our operators twice"):
        operators_version(model(("simcse", 1), ("", 17), ("simcse", 2)))


def test_a_version_that_is_not_written_is_not_ours() -> None:
    """Protobuf's reader takes it for 0, a version that no operators have."""
    made = onnx.ModelProto()
    made.opset_import.add(domain="simcse")
    assert operators_version(made.SerializeToString()) is None


@pytest.mark.parametrize("graph", [b"no graph", b"\x42\xff", b"\x42\x08\x0a\x20simcse"])
def test_what_is_no_graph(graph: bytes) -> None:
    with pytest.raises(UnreadableGraphError):
        operators_version(graph)
