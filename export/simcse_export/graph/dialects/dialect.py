"""Dialects: how a target spells the parts of the model. `graph.py` says what the model is; this says in which nodes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..layouts.layout import Layout, View, mean
from ..layouts.ragged import Ragged
from ..nodes import OPSETS, Graph
from ..pooling import halfway

Array = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Heads:
    """The shape of one layer's attention.

    Attributes:
        count: of heads, over which ``hidden`` is divided.
        hidden: width of queries, keys, values and result.
        first_only: whether there are queries for the sentences' first tokens alone.
    """

    count: int
    hidden: int
    first_only: bool


@dataclass(frozen=True, kw_only=True)
class Linear:
    """A linear layer as the checkpoint has it: ``weight`` [out, in] and ``bias`` [out], under its name."""

    name: str
    weight: Array
    bias: Array


@dataclass(frozen=True, kw_only=True)
class Norm:
    """A LayerNorm over the features: ``gamma`` and ``beta`` [features], under its name."""

    name: str
    gamma: Array
    beta: Array
    epsilon: float


class Dialect(Protocol):
    """What a target must be able to say; tensors are [tokens, features] unless said otherwise.

    Attributes:
        layout: how a run's tokens lie.
        opset: the version of ONNX's operators.
    """

    layout: type[Layout]
    opset: int

    def embedding(self, graph: Graph, rows: str, name: str, table: Array) -> str:
        """The rows of ``table`` [entries, hidden] with these int64 numbers."""

    def linear(self, graph: Graph, x: str, layer: Linear) -> str:
        """X · weightᵀ + bias."""

    def activated(self, graph: Graph, x: str, layer: Linear, activation: str) -> str:
        """The linear layer, then one of `ACTIVATIONS`, by the name that the checkpoint's config uses."""

    def add_norm(self, graph: Graph, x: str, skip: str, norm: Norm, *, after: Linear | None = None) -> str:
        """Normalize the sum of ``skip`` and x, or what the linear layer ``after`` makes of it."""

    def attention(self, layout: Layout, query: str, key: str, value: str, heads: Heads) -> str:
        """Softmax(Q Kᵀ / √d) V a head and sentence; with ``heads.first_only``, query and result are [sentences, …]."""

    def mean(self, layout: Layout, states: Sequence[str], hidden: int) -> str:
        """Each sentence's average, over its tokens, of one or two tensors: float32 [sentences, hidden]."""

    def vectors(self, graph: Graph, x: str) -> str:
        """The same in float32, which results are in."""


# Config's `hidden_act` → operator, domain, attributes. Names that torch defines alike share a line's operator.
ACTIVATIONS: dict[str, tuple[str, str, dict[str, float]]] = {
    "gelu": ("Gelu", "com.microsoft", {}),
    "gelu_python": ("Gelu", "com.microsoft", {}),
    "gelu_new": ("FastGelu", "com.microsoft", {}),
    "gelu_fast": ("FastGelu", "com.microsoft", {}),
    "gelu_pytorch_tanh": ("FastGelu", "com.microsoft", {}),
    "quick_gelu": ("QuickGelu", "com.microsoft", {"alpha": 1.702}),
    "silu": ("QuickGelu", "com.microsoft", {"alpha": 1.0}),
    "swish": ("QuickGelu", "com.microsoft", {"alpha": 1.0}),
    "relu": ("Relu", "", {}),
    "tanh": ("Tanh", "", {}),
}


class CpuFp32:
    """ONNX Runtime's CPU provider in float32.

    Gemm on flat rows takes the bias along and has its weights packed once at load. Attention is `MultiHeadAttention`,
    which without mask and bias runs tile by tile in cache. The sum before a LayerNormalization stays an Add of its own:
    the fused SkipLayerNormalization is a scalar loop in the runtime.
    """

    layout: type[Layout] = Ragged
    opset = OPSETS[""]

    def embedding(self, graph: Graph, rows: str, name: str, table: Array) -> str:
        """See `Dialect`."""
        return graph.op("Gather", graph.weight(name, table), rows)

    def linear(self, graph: Graph, x: str, layer: Linear) -> str:
        """See `Dialect`."""
        weight, bias = (
            graph.weight(f"{layer.name}.weight", layer.weight.T),
            graph.weight(f"{layer.name}.bias", layer.bias),
        )
        return graph.op("Gemm", x, weight, bias)

    def activated(self, graph: Graph, x: str, layer: Linear, activation: str) -> str:
        """See `Dialect`."""
        return self.activation(graph, self.linear(graph, x, layer), activation)

    def add_norm(self, graph: Graph, x: str, skip: str, norm: Norm, *, after: Linear | None = None) -> str:
        """See `Dialect`."""
        if after is not None:
            x = self.linear(graph, x, after)
        return self.layer_norm(graph, graph.op("Add", x, skip), norm)

    def attention(self, layout: Layout, query: str, key: str, value: str, heads: Heads) -> str:
        """See `Dialect`."""

        def write(view: View) -> str:
            graph, hidden = view.graph, heads.hidden
            grids = [view.grid(flat, hidden) for flat in (key, value)]
            asking = graph.op("Unsqueeze", query, graph.ints(1)) if heads.first_only else view.grid(query, hidden)
            mask = ["", view.mask] if view.mask else []
            y = graph.op("MultiHeadAttention", asking, *grids, *mask, domain="com.microsoft", num_heads=heads.count)
            return graph.op("Squeeze", y, graph.ints(1)) if heads.first_only else view.flat(y, hidden)

        return layout.each(write)

    def activation(self, graph: Graph, x: str, name: str) -> str:
        """One of `ACTIVATIONS`."""
        operator, domain, attributes = ACTIVATIONS[name]
        return graph.op(operator, x, domain=domain, **attributes)

    def layer_norm(self, graph: Graph, x: str, norm: Norm) -> str:
        """Normalize over the features."""
        weights = graph.weight(f"{norm.name}.weight", norm.gamma), graph.weight(f"{norm.name}.bias", norm.beta)
        return graph.op("LayerNormalization", x, *weights, axis=-1, epsilon=norm.epsilon)

    def mean(self, layout: Layout, states: Sequence[str], hidden: int) -> str:
        """See `Dialect`."""
        return mean(layout, halfway(layout.graph, states), hidden)

    def vectors(self, graph: Graph, x: str) -> str:  # noqa: ARG002 - others have something to convert
        """See `Dialect`."""
        return x
