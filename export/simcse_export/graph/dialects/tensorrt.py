"""The dialect of TensorRT and TensorRT for RTX: plain operators, which the compiler fuses by itself."""

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from ...int8.quantize import QuantizedInput, QuantizedLinear
from ..layouts.grid import MASK, Grid
from ..layouts.layout import Layout
from ..nodes import FLOAT, FLOAT16, Graph
from .activations import plain_activation
from .dialect import Heads, Linear
from .gpu import HIDDEN_SCORE, Gpu


class TensorRt(Gpu):
    """Float16 or float32, on the padded grid: [sentences, longest, features]."""

    layout = Grid
    _hidden_scores = ""

    def _hide(self, graph: Graph) -> str:
        """What is added to scores, [sentences, 1, 1, longest]: 0 for tokens, `HIDDEN_SCORE` for padding."""
        if not self._hidden_scores:
            mask = graph.op("Cast", MASK, to=FLOAT16 if self._half else FLOAT)
            hidden = graph.op("Mul", graph.op("Sub", mask, self.number(graph, 1)), self.number(graph, -HIDDEN_SCORE))
            self._hidden_scores = graph.op("Unsqueeze", hidden, graph.ints(1, 2))
        return self._hidden_scores

    def attention(self, layout: Layout, query: str, key: str, value: str, heads: Heads) -> str:
        graph, each = layout.graph, heads.hidden // heads.count
        if heads.first_only:
            query = graph.op("Unsqueeze", query, graph.ints(1))
        # 0 keeps a dimension: no shape has to be computed.
        by_head = graph.ints(0, 0, heads.count, each)
        q, k, v = (
            graph.op("Transpose", graph.op("Reshape", self.cast(graph, x), by_head), perm=perm)
            for x, perm in ((query, [0, 2, 1, 3]), (key, [0, 2, 3, 1]), (value, [0, 2, 1, 3]))
        )
        # Queries are scaled, not scores, which in float16 might be too large before.
        scores = graph.op("MatMul", graph.op("Mul", q, self.number(graph, each**-0.5)), k)
        if heads.bias is not None:
            scores = graph.op("Add", scores, self.attention_bias(graph, heads.bias, heads, layout.longest))
        weights = graph.op("Softmax", graph.op("Add", scores, self._hide(graph)), axis=-1)
        y = graph.op("Transpose", graph.op("MatMul", weights, v), perm=[0, 2, 1, 3])
        return graph.op("Reshape", y, graph.ints(*([-1] if heads.first_only else [0, 0]), heads.hidden))

    def activation(self, graph: Graph, x: str, function: str) -> str:
        """See `Dialect`: in operators of ONNX itself."""
        single = x in self._singles
        return plain_activation(graph, x, function, lambda value: self.number(graph, value, single=single))


class TensorRtInt8(TensorRt):
    """Linear layers in symmetric int8, stated by pairs of QuantizeLinear and DequantizeLinear.

    All else is float16, or float32 for a model that has layers too wide for that.
    """

    opset = 19  # the first whose DequantizeLinear gives float16

    def __init__(self, layers: Mapping[str, QuantizedLinear], wide: Collection[str] = ()) -> None:
        """Spell the linear layers with these names in integers (whose zero is 128 of uint8, 0 of int8)."""
        super().__init__("fp32" if wide else "fp16")
        self._layers = layers
        self._quantized: dict[str, str] = {}

    def product(self, graph: Graph, x: str, layer: Linear) -> str:
        integers = self._layers.get(layer.name)
        if integers is None:
            return super().product(graph, x, layer)
        scale = self.constant(graph, f"{layer.name}.scale", integers.scale)
        weight = graph.weight(f"{layer.name}.weight", integers.weight.T)
        rows = graph.op("DequantizeLinear", weight, scale, axis=1)
        return graph.op("MatMul", self._through_int8(graph, self.cast(graph, x), layer.name, integers.input), rows)

    def bias(self, graph: Graph, layer: Linear) -> str:
        integers = self._layers.get(layer.name)
        return super().bias(graph, layer if integers is None else replace(layer, bias=integers.bias))

    def _through_int8(self, graph: Graph, x: str, name: str, quantized: QuantizedInput) -> str:
        """``x`` rounded to int8 and back, computed once for all layers that read it."""
        if x not in self._quantized:
            if quantized.zero != 128:
                raise ValueError(
                    f"{name}: TensorRT takes only symmetric integers, whose zero is 128, not {quantized.zero}"
                )
            smooth = quantized.smooth
            y = x if smooth is None else graph.op("Mul", x, self.constant(graph, f"{name}.input.smooth", smooth))
            scale = self.constant(graph, f"{name}.input.scale", np.array(quantized.scale, np.float32))
            zero = graph.weight("int8 0", np.array(0, np.int8))
            self._quantized[x] = graph.op("DequantizeLinear", graph.op("QuantizeLinear", y, scale, zero), scale, zero)
        return self._quantized[x]
