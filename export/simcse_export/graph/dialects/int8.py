"""The dialect of int8 on CPUs: integer matrix products between float32 norms, attention and activations."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from ...int8.quantize import QuantizedInput, QuantizedLinear
from ...int8.rounding import quantized_rows
from ..layouts.even import Even
from ..layouts.layout import Layout
from ..nodes import FLOAT, MICROSOFT, Graph
from ..operators import QUANTIZED_OPERATORS
from .dialect import Array, Dialect, Heads, Linear


class CpuInt8(Dialect):
    """ONNX Runtime's CPU provider in int8; the parts that it does not override are in float32.

    A linear layer is `QuantizeLinear` with constants and `MatMulIntegerToFloat`, which takes scales and bias along.
    Queries, keys and values are three products of one quantized input: a single one would have to be split.
    """

    layout = Even
    operators = QUANTIZED_OPERATORS

    def __init__(self, layers: Mapping[str, QuantizedLinear]) -> None:
        """Spell the linear layers with these names in integers, and all others in float32."""
        self._layers = layers
        self._quantized: dict[tuple[Graph, str], str] = {}
        # Layers that share a rounding take its constants, too; the first one names them.
        self._names: dict[int, str] = {}
        for name, layer in layers.items():
            self._names.setdefault(id(layer.input), f"{name}.input")

    def embedding(self, graph: Graph, rows: str, name: str, table: Array) -> str:
        """See `Dialect`: int8 with one scale per row, a quarter of the size."""
        integers, scale = quantized_rows(table)
        rows_as_float = graph.op("Cast", graph.op("Gather", graph.weight(name, integers), rows), to=FLOAT)
        return graph.op("Mul", rows_as_float, graph.op("Gather", graph.weight(f"{name}.scale", scale), rows))

    def linear(self, graph: Graph, x: str, layer: Linear) -> str:
        integers = self._layers.get(layer.name)
        if integers is None:
            return super().linear(graph, x, layer)
        constants = {"weight": integers.weight.T, "scale": integers.scale, "bias": integers.bias}
        w, w_scale, b = (graph.weight(f"{layer.name}.{part}", array) for part, array in constants.items())
        name = self._names[id(integers.input)]
        scale = graph.weight(f"{name}.scale", np.array(integers.input.scale, np.float32))
        zero = graph.weight(f"{name}.zero", np.array(integers.input.zero, np.uint8))
        rows = self._quantize(graph, x, name, integers.input, scale, zero)
        return graph.op("MatMulIntegerToFloat", rows, w, scale, w_scale, zero, "", b, domain=MICROSOFT)

    def _quantize(self, graph: Graph, x: str, name: str, quantized: QuantizedInput, scale: str, zero: str) -> str:
        """``x`` as uint8, computed once for all layers that read it."""
        if (graph, x) not in self._quantized:
            smoothed = (
                x if quantized.smooth is None else graph.op("Mul", x, graph.weight(f"{name}.smooth", quantized.smooth))
            )
            self._quantized[graph, x] = graph.op("QuantizeLinear", smoothed, scale, zero)
        return self._quantized[graph, x]

    def attention(self, layout: Layout, query: str, key: str, value: str, heads: Heads) -> str:
        """See `Dialect`: plain products that read the heads where they lie in the even layout."""
        if not isinstance(layout, Even):
            raise TypeError("int8 attention is written for the even layout")
        graph, each = layout.graph, heads.hidden // heads.count
        by_place = graph.op("Concat", layout.longest, graph.ints(-1, each), axis=0)
        k, v = (graph.op("Reshape", flat, by_place) for flat in (key, value))
        q = graph.op("Reshape", query, graph.ints(1, -1, each) if heads.first_only else by_place)
        scores = graph.op(
            *("FusedMatMul", q, k), domain=MICROSOFT, transBatchA=1, transBatchB=1, transB=1, alpha=each**-0.5
        )
        if heads.bias is not None:
            # [sentences · heads, queries, keys] as [sentences, heads, queries, keys], and back.
            bias = self.attention_bias(graph, heads.bias, heads, layout.longest)
            shape = graph.op("Shape", scores)
            by_sentence = graph.op("Concat", graph.ints(-1, heads.count), graph.op("Shape", scores, start=1), axis=0)
            scores = graph.op("Add", graph.op("Reshape", scores, by_sentence), bias)
            scores = graph.op("Reshape", scores, shape)
        weights = graph.op("Softmax", scores, axis=-1)
        y = graph.op("FusedMatMul", weights, v, domain=MICROSOFT, transBatchB=1)
        return graph.op("Reshape", graph.op("Transpose", y, perm=[1, 0, 2]), graph.ints(-1, heads.hidden))


class PlainCpuInt8(CpuInt8):
    """Without operators of ours: the functions that spell them lay tokens out in an order of their own.

    So nothing but our own pooling may stand behind them.
    """

    operators: ClassVar = {}
