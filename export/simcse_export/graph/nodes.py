"""Writes ONNX graphs: names, nodes, constants and branches, so that other modules speak of the model alone."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

# LayerNormalization came with opset 17; nothing newer is needed, so older runtimes can read the graph too.
MICROSOFT = "com.microsoft"  # ONNX Runtime's own operators
OPSETS = {"": 17, MICROSOFT: 1}
_IR_VERSION = 8
_AXES_ARE_INPUTS = 18  # of most reductions, from this version on
# Smaller tensors stay in the graph's file.
_EXTERNAL_BYTES = 1024


class Graph:
    """A graph, or a branch of one, under construction. Tensors are their names."""

    def __init__(self, parent: "Graph | None" = None, *, opset: int = OPSETS[""]) -> None:
        """Begin a graph in this version of ONNX's operators, or a branch of ``parent``."""
        self.nodes: list[onnx.NodeProto] = []
        self._root: Graph = parent._root if parent else self
        if parent is None:
            self.initializers: dict[str, onnx.TensorProto] = {}
            self.functions: dict[str, onnx.FunctionProto] = {}
            self.versions: dict[str, int] = {}  # of functions' domains
            self._counts: dict[str, int] = {}
            self._scopes: list[str] = []
            self.opset = opset

    @contextlib.contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Prefix the names of nodes made in the block with a part of the model, as in ``layer.0/attention/Gemm``."""
        self._root._scopes.append(name)
        try:
            yield
        finally:
            self._root._scopes.pop()

    def op(self, op_type: str, *inputs: str, domain: str = "", **attributes: object) -> str:
        """Add a node with one output and return the output's name."""
        return self.ops(op_type, *inputs, domain=domain, outputs=1, **attributes)[0]

    def ops(self, op_type: str, *inputs: str, outputs: int, domain: str = "", **attributes: object) -> tuple[str, ...]:
        """Add a node with several outputs."""
        name = self._unique(op_type)
        results = (name,) if outputs == 1 else tuple(f"{name}:{i}" for i in range(outputs))
        self.nodes.append(helper.make_node(op_type, inputs, results, name=name, domain=domain, **attributes))
        return results

    def weight(self, name: str, array: NDArray[np.generic]) -> str:
        """Add a named constant; weights keep the checkpoint's names."""
        return self._root.constant(numpy_helper.from_array(np.require(array, requirements="C"), name))

    def bfloat16(self, name: str, bits: NDArray[np.uint16]) -> str:
        """Add a named constant of bfloat16, a type that NumPy lacks, given as its bits."""
        raw = bits.astype("<u2").tobytes()
        return self._root.constant(helper.make_tensor(name, BFLOAT16, bits.shape, raw, raw=True))

    def constant(self, tensor: onnx.TensorProto) -> str:
        """Add a constant to a graph that is no branch; the name to read it by."""
        self.initializers[tensor.name] = tensor
        return tensor.name

    def add_function(self, function: onnx.FunctionProto, *, version: int) -> None:
        """Add a function that nodes may call; several may share one, and none may need another of its name.

        ``version`` is the least of its domain's that has such an operator.
        """
        root = self._root
        if root.functions.setdefault(function.name, function) != function:
            raise ValueError(f"two functions are named {function.name}")
        root.versions[function.domain] = max(version, root.versions.get(function.domain, 0))

    def ints(self, *values: int) -> str:
        """The int64 constant [values], one per graph."""
        name = f"ints[{','.join(map(str, values))}]"
        return self.weight(name, np.array(values, np.int64))

    def scalar(self, value: int) -> str:
        """An int64 constant of rank 0, one per graph."""
        return self.weight(f"scalar {value}", np.array(value, np.int64))

    def filled_like(self, x: str, value: int) -> str:
        """The int64 ``value`` in the shape of ``x``."""
        filling = helper.make_tensor("one" if value else "zero", INT64, [1], [value])
        return self.op("ConstantOfShape", self.op("Shape", x), value=filling)

    def largest(self, x: str, axis: int) -> str:
        """The largest along an axis, which is left out."""
        if self._root.opset < _AXES_ARE_INPUTS:
            return self.op("ReduceMax", x, axes=[axis], keepdims=0)
        return self.op("ReduceMax", x, self.ints(axis), keepdims=0)

    def branch(
        self,
        condition: str,
        then: Callable[["Graph"], Sequence[str]],
        otherwise: Callable[["Graph"], Sequence[str]],
        dtypes: Sequence[int],
    ) -> tuple[str, ...]:
        """Add an If whose branches see every tensor of this graph; each has ``len(dtypes)`` outputs."""
        graphs = []
        for write in (then, otherwise):
            inner = Graph(self)
            outputs = [inner._own(name) for name in write(inner)]
            infos = [helper.make_tensor_value_info(o, t, None) for o, t in zip(outputs, dtypes, strict=True)]
            graphs.append(helper.make_graph(inner.nodes, "branch", [], infos))
        return self.ops("If", condition, outputs=len(dtypes), then_branch=graphs[0], else_branch=graphs[1])

    def _own(self, tensor: str) -> str:
        """The tensor as the output of a node of this graph, as the outputs of a branch must be."""
        is_own = any(tensor in node.output for node in self.nodes)
        return tensor if is_own else self.op("Identity", tensor)

    def rename(self, tensor: str, name: str) -> str:
        """Give a tensor the name under which others look for it."""
        self.nodes.append(helper.make_node("Identity", [tensor], [name], name=f"name {name}"))
        return name

    def model(self, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto]) -> onnx.ModelProto:
        """The finished model."""
        graph = helper.make_graph(self.nodes, "simcse", inputs, outputs, list(self.initializers.values()))
        functions = list(self.functions.values())
        versions = {**OPSETS, "": self.opset, **self.versions}
        opsets = [helper.make_opsetid(domain, version) for domain, version in versions.items()]
        return helper.make_model(
            graph, functions=functions, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="simcse-engine"
        )

    def _unique(self, op_type: str) -> str:
        root = self._root
        name = "/".join([*root._scopes, op_type])
        root._counts[name] = count = root._counts.get(name, 0) + 1
        return name if count == 1 else f"{name}.{count}"


INT64, INT32 = TensorProto.INT64, TensorProto.INT32
FLOAT, FLOAT16, BFLOAT16 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16
BOOL = TensorProto.BOOL


def output(dimension: int) -> list[onnx.ValueInfoProto]:
    """The output that every artifact's graph has, see `simcse_engine.session.session.Session.run`."""
    return [helper.make_tensor_value_info("sentence_embedding", FLOAT, ["sentences", dimension])]


def drop_import(path: Path, domain: str) -> None:
    """Let an ONNX file no longer import operators that no node of it is of; its weights stay where they are."""
    model = onnx.load(path, load_external_data=False)
    kept = [each for each in model.opset_import if each.domain != domain]
    if len(kept) < len(model.opset_import):
        del model.opset_import[:]
        model.opset_import.extend(kept)
        path.write_bytes(model.SerializeToString())


def save_model(model: onnx.ModelProto, path: Path, weights: str) -> None:
    """Write the graph to ``path``, and its larger tensors to the file ``weights`` beside it, which can be mapped."""
    onnx.save_model(
        model,
        path,
        save_as_external_data=True,
        location=weights,
        size_threshold=_EXTERNAL_BYTES,
        convert_attribute=False,
    )
