"""The dialects of the padded layout, for programs that run the graph in a runtime of their own choice.

In float32 and bfloat16 every operator is ONNX's own. In int8 one more is ONNX Runtime's, `MatMulIntegerToFloat`, which
its builds for Python, Java, Node and browsers have.
"""

from typing import ClassVar

import numpy as np

from ..layouts.layout import Layout, View
from ..layouts.padded import Padded
from ..nodes import Graph
from .activations import plain_activation
from .bf16 import CpuBf16
from .dialect import Dialect, Heads
from .int8 import CpuInt8


class PaddedFp32(Dialect):
    """Float32, and the base of the others: attention and activations in plain operators, and no functions of ours."""

    layout = Padded
    operators: ClassVar = {}

    def attention(self, layout: Layout, query: str, key: str, value: str, heads: Heads) -> str:
        if not isinstance(layout, Padded):
            raise TypeError("this attention is written for the padded layout")
        hidden_scores, each = layout.hidden_scores, heads.hidden // heads.count

        def write(view: View) -> str:
            graph = view.graph
            if heads.first_only:
                q = graph.op("Reshape", query, graph.ints(-1, 1, heads.count, each))
            else:
                q = view.grid(query, heads.count, each)
            k, v = (view.grid(flat, heads.count, each) for flat in (key, value))
            q, k, v = (
                graph.op("Transpose", x, perm=perm)
                for x, perm in ((q, [0, 2, 1, 3]), (k, [0, 2, 3, 1]), (v, [0, 2, 1, 3]))
            )
            scores = graph.op("MatMul", graph.op("Mul", q, _number(graph, each**-0.5)), k)
            if heads.bias is not None:
                scores = graph.op("Add", scores, self.attention_bias(graph, heads.bias, heads, layout.longest))
            weights = graph.op("Softmax", graph.op("Add", scores, hidden_scores), axis=-1)
            y = graph.op("Transpose", graph.op("MatMul", weights, v), perm=[0, 2, 1, 3])
            return graph.op("Reshape", y, graph.ints(-1, heads.hidden))

        return layout.on_grid(write)

    def activation(self, graph: Graph, x: str, function: str) -> str:
        return plain_activation(graph, x, function, lambda value: _number(graph, value))


class PaddedBf16(PaddedFp32, CpuBf16):
    """Float32 whose weights are stored in bfloat16."""


class PaddedInt8(PaddedFp32, CpuInt8):
    """Linear layers in int8. Attention's last bits depend on the padding, and may flip a rounding after it."""


def _number(graph: Graph, value: float) -> str:
    return graph.weight(f"float32 {value:.9g}", np.array(value, np.float32))
