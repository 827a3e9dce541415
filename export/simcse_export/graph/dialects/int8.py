"""The dialect of int8 on CPUs: integer matrix products between float32 norms, attention and activations."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ...int8.quantize import QuantizedInput, QuantizedLinear
from ...int8.rounding import quantized_rows
from ..layouts.even import Even
from ..layouts.layout import Layout
from ..nodes import FLOAT, Graph
from .dialect import CpuFp32, Heads, Linear

_MICROSOFT = "com.microsoft"


class CpuInt8(CpuFp32):
    """ONNX Runtime's CPU provider in int8: what it does not spell otherwise is said as in float32.

    A linear layer is `QuantizeLinear` with constants and `MatMulIntegerToFloat`, which takes scales and bias along.
    Queries, keys and values are three products of one quantized input: a single one would have to be split.
    """

    layout = Even

    def __init__(self, layers: Mapping[str, QuantizedLinear]) -> None:
        """Spell the linear layers of these names in integers, and all others in float32."""
        self._layers = layers
        self._quantized: dict[str, str] = {}

    def embedding(self, graph: Graph, rows: str, name: str, table: NDArray[np.float32]) -> str:
        """See `Dialect`: int8 with a scale a row, a quarter of the size."""
        integers, scale = quantized_rows(table)
        found = graph.op("Cast", graph.op("Gather", graph.weight(name, integers), rows), to=FLOAT)
        return graph.op("Mul", found, graph.op("Gather", graph.weight(f"{name}.scale", scale), rows))

    def linear(self, graph: Graph, x: str, layer: Linear) -> str:
        """See `Dialect`."""
        integers = self._layers.get(layer.name)
        if integers is None:
            return super().linear(graph, x, layer)
        constants = {
            "weight": integers.weight.T,
            "scale": integers.scale,
            "bias": integers.bias,
            "input.scale": np.array(integers.given.scale, np.float32),
            "input.zero": np.array(integers.given.zero, np.uint8),
        }
        w, w_scale, b, scale, zero = (graph.weight(f"{layer.name}.{part}", array) for part, array in constants.items())
        quantized = self._quantize(graph, x, f"{layer.name}.input", integers.given, scale, zero)
        return graph.op("MatMulIntegerToFloat", quantized, w, scale, w_scale, zero, "", b, domain=_MICROSOFT)

    def _quantize(self, graph: Graph, x: str, name: str, given: QuantizedInput, scale: str, zero: str) -> str:
        """``x`` as uint8, made once for all layers that read it."""
        if x not in self._quantized:
            smoothed = x if given.smooth is None else graph.op("Mul", x, graph.weight(f"{name}.smooth", given.smooth))
            self._quantized[x] = graph.op("QuantizeLinear", smoothed, scale, zero)
        return self._quantized[x]

    def attention(self, layout: Layout, query: str, key: str, value: str, heads: Heads) -> str:
        """See `Dialect`: plain products that read the heads where they lie in the even layout."""
        if not isinstance(layout, Even):
            raise TypeError("int8 attention is written for the even layout")
        graph, each = layout.graph, heads.hidden // heads.count
        by_place = graph.op("Concat", layout.length, graph.ints(-1, each), axis=0)
        k, v = (graph.op("Reshape", flat, by_place) for flat in (key, value))
        q = graph.op("Reshape", query, graph.ints(1, -1, each) if heads.first_only else by_place)
        scores = graph.op(
            *("FusedMatMul", q, k), domain=_MICROSOFT, transBatchA=1, transBatchB=1, transB=1, alpha=each**-0.5
        )
        weights = graph.op("Softmax", scores, axis=-1)
        y = graph.op("FusedMatMul", weights, v, domain=_MICROSOFT, transBatchB=1)
        return graph.op("Reshape", graph.op("Transpose", y, perm=[1, 0, 2]), graph.ints(-1, heads.hidden))
