"""Graphs of one node of our operators, and sessions that run them in the kernels."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from support.kernels import Kernels, Loaded
from support.lanes import BYTES
from support.layers import Layer

# What a run is fed, by the names of the nodes' first inputs.
FED = {"ids": TensorProto.INT64, "lengths": TensorProto.INT64, "states": TensorProto.FLOAT, "other": TensorProto.FLOAT}


@dataclass(eq=False)
class Node:
    """A node: its inputs in their order, constants as arrays (uint16 is bfloat16), fed ones and absent ones as None."""

    operator: str
    inputs: dict[str, np.ndarray | None]
    attributes: dict[str, Any] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()

    def model(self, types: dict[str, int] | None = None) -> bytes:
        """The graph as an ONNX file; ``types`` are of fed inputs that differ from `FED`."""
        names = ["" if name in self.absent else name for name in self.inputs]
        while names and not names[-1]:
            names.pop()
        fed = [name for name in names if name and self.inputs[name] is None]
        node = helper.make_node(self.operator, names, ["y"], domain="simcse", **self.attributes)
        graph = helper.make_graph(
            [node],
            "operator",
            [helper.make_tensor_value_info(name, (types or {}).get(name, FED.get(name, 1)), None) for name in fed],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            [_initializer(name, self.inputs[name]) for name in names if name and self.inputs[name] is not None],
        )
        imports = [helper.make_opsetid("", 17), helper.make_opsetid("simcse", 1)]
        return bytes(helper.make_model(graph, opset_imports=imports, ir_version=9).SerializeToString())


def layer_node(layer: Layer) -> Node:
    """The node that stands for a layer."""
    inputs: dict[str, np.ndarray | None] = {"states": None, "lengths": None}
    quantized, (attention, output, up, down) = layer.kind == BYTES, layer.inputs

    def add_input(name: str, its: Any, smooth: bool) -> None:
        if smooth:
            inputs[f"{name}.smooth"] = its.smooth
        inputs[f"{name}.scale of input"] = np.float32(its.scale)
        inputs[f"{name}.zero"] = np.uint8(its.zero)

    def add_linear(name: str, place: int, bytes_: bool) -> None:
        linear = layer.linears[place]
        inputs[f"{name}.weight"] = linear.weight
        if bytes_:
            inputs[f"{name}.scale"] = linear.scale
        inputs[f"{name}.bias"] = linear.bias

    late = quantized and not layer.first_only
    if quantized:
        add_input("attention", attention, smooth=True)
    for place, name in enumerate(("query", "key", "value")):
        add_linear(name, place, quantized)
    if late:
        add_input("output", output, smooth=False)
    add_linear("output", 3, late)
    inputs["attention_norm.gamma"], inputs["attention_norm.beta"] = layer.norms[0]
    if quantized:
        add_input("up", up, smooth=True)
    add_linear("up", 4, quantized)
    if late:
        add_input("down", down, smooth=False)
    add_linear("down", 5, late)
    inputs["norm.gamma"], inputs["norm.beta"] = layer.norms[1]
    if layer.bias is not None:
        inputs["attention.bias"] = layer.bias
    operator = f"{'Quantized' if quantized else ''}{'First' if layer.first_only else ''}Layer"
    attributes = {"heads": layer.heads, "epsilon": float(layer.epsilon), "activation": layer.activation}
    return Node(operator, inputs, attributes)


def open_session(kernels: Kernels, model: bytes) -> onnxruntime.InferenceSession:
    """A session that runs our operators in the library under test."""
    if not isinstance(kernels, Loaded):
        pytest.skip("the runtime is not emulated")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.register_custom_ops_library(kernels.library._name)
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _initializer(name: str, array: np.ndarray | None) -> onnx.TensorProto:
    assert array is not None
    if array.dtype == np.uint16:
        return helper.make_tensor(name, TensorProto.BFLOAT16, array.shape, array.tobytes(), raw=True)
    return numpy_helper.from_array(np.asarray(array), name)
