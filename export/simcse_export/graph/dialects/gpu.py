"""What the dialects of GPUs share: one float type for all tensors, except those that it is too narrow for."""

from collections.abc import Collection, Sequence
from typing import ClassVar

import numpy as np

from ...checkpoint.attention_bias import by_place
from ..nodes import FLOAT, FLOAT16, Graph
from ..operators import ATTENTION_BIAS
from .dialect import Array, Dialect, Heads, Linear, Norm

# The score of a hidden token: softmax leaves nothing of it, and float16 can hold it.
HIDDEN_SCORE = -1e4


class Gpu(Dialect):
    """Plain operators in float16 or float32.

    In float16, products accumulate in float32 (the libraries' default), and norms compute in float32. Linear layers
    whose results float16 cannot hold (`simcse_export.checkpoint.ranges.wide_layers`) stay in float32, results included.
    """

    operators: ClassVar = {}

    def __init__(self, precision: str, wide: Collection[str] = ()) -> None:
        """Spell the graph in "fp16" or "fp32", and the linear layers named in ``wide`` in float32."""
        self._half = precision == "fp16"
        self._wide = frozenset(wide)
        self._singles: set[str] = set()  # tensors that are float32 in a float16 graph
        self._biases: dict[bool, str] = {}  # what `attention_bias` gave, by whether it is of first tokens alone

    def embedding(self, graph: Graph, rows: str, name: str, table: Array) -> str:
        return graph.op("Gather", self.constant(graph, name, table), rows)

    def linear(self, graph: Graph, x: str, layer: Linear) -> str:
        y = self.product(graph, x, layer)
        return self._as_wide(layer, graph.op("Add", y, self.bias(graph, layer))) if layer.bias.any() else y

    def product(self, graph: Graph, x: str, layer: Linear) -> str:
        """The linear layer without its bias."""
        single = layer.name in self._wide
        weight = self.constant(graph, f"{layer.name}.weight", layer.weight.T, single=single)
        return self._as_wide(layer, graph.op("MatMul", self.cast(graph, x, single=single), weight))

    def bias(self, graph: Graph, layer: Linear) -> str:
        """The linear layer's bias."""
        return self.constant(graph, f"{layer.name}.bias", layer.bias, single=layer.name in self._wide)

    def activated(self, graph: Graph, x: str, layer: Linear, function: str) -> str:
        return self._as_wide(layer, super().activated(graph, x, layer, function))

    def add_norm(self, graph: Graph, x: str, skip: str, norm: Norm, *, after: Linear | None = None) -> str:
        """See `Dialect`: sum and norm in float32."""
        if after is not None:
            x = self.linear(graph, x, after)
        total = graph.op("Add", *(self.cast(graph, each, single=True) for each in (x, skip)))
        y = self.layer_norm(graph, total, norm)
        self._singles.add(y)
        return self.cast(graph, y)

    def attention_bias(self, graph: Graph, bias: Array, heads: Heads, longest: str) -> str:
        """See `Dialect`: cut out of that of the longest text there can be, once for all layers."""
        first_only = heads.first_only
        if first_only not in self._biases:
            whole = by_place(bias, bias.shape[1] // 2 + 1)[None]
            name = f"{ATTENTION_BIAS}.first" if first_only else ATTENTION_BIAS
            cut = self.constant(graph, name, whole[:, :, :1] if first_only else whole)
            for axis in (3,) if first_only else (2, 3):
                cut = graph.op("Slice", cut, graph.ints(0), longest, graph.ints(axis))
            self._biases[first_only] = cut
        return self._biases[first_only]

    def vectors(self, graph: Graph, x: str) -> str:
        return self.cast(graph, x, single=True)

    def mean_of(self, graph: Graph, states: Sequence[str]) -> str:
        """See `Dialect`: in float32."""
        y = super().mean_of(graph, [self.vectors(graph, each) for each in states])
        self._singles.add(y)
        return y

    def number(self, graph: Graph, value: float, *, single: bool = False) -> str:
        """A constant of rank 0 in the graph's type, or with ``single`` in float32."""
        kind = "float32" if single or not self._half else "float16"
        return self.constant(graph, f"{kind} {value:.9g}", np.array(value, np.float32), single=single)

    def constant(self, graph: Graph, name: str, array: Array, *, single: bool = False) -> str:
        """Weights in the graph's type, or with ``single`` in float32."""
        return graph.weight(name, array.astype(np.float16) if self._half and not single else array)

    def cast(self, graph: Graph, x: str, *, single: bool = False) -> str:
        """``x`` in the graph's type, or with ``single`` in float32."""
        if not self._half or (x in self._singles) is single:
            return x
        y = graph.op("Cast", x, to=FLOAT if single else FLOAT16)
        if single:
            self._singles.add(y)
        return y

    def _as_wide(self, layer: Linear, x: str) -> str:
        if layer.name in self._wide:
            self._singles.add(x)
        return x
