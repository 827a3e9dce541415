"""Dialects: how a target spells the parts of the model. `graph.py` says what the model is; this says in which nodes."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .even import Even, EvenView
from .nodes import Graph
from .ragged import Ragged, View

Array = NDArray[np.float32]
Layout = Ragged | Even


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


class Dialect(Protocol):
    """What a target must be able to say; tensors are flat [tokens, features] unless said otherwise."""

    def layout(self, graph: Graph) -> Layout:
        """How a run's tokens lie."""

    def embedding(self, graph: Graph, rows: str, name: str, table: Array) -> str:
        """The rows of ``table`` [entries, hidden] with these int64 numbers."""

    def linear(self, graph: Graph, x: str, name: str, weight: Array, bias: Array) -> str:
        """X · weightᵀ + bias, with ``weight`` [out, in] as torch has it."""

    def attention(self, layout: Layout, query: str, key: str, value: str, heads: Heads) -> str:
        """Softmax(Q Kᵀ / √d) V a head and sentence; with ``heads.first_only``, query and result are [sentences, …]."""

    def activation(self, graph: Graph, x: str, name: str) -> str:
        """One of `ACTIVATIONS`, by the name that the checkpoint's config uses."""

    def layer_norm(self, graph: Graph, x: str, name: str, gamma: Array, beta: Array, epsilon: float) -> str:
        """Normalize over the features."""


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

    def layout(self, graph: Graph) -> Layout:
        """See `Dialect`."""
        return Ragged(graph)

    def embedding(self, graph: Graph, rows: str, name: str, table: Array) -> str:
        """See `Dialect`."""
        return graph.op("Gather", graph.weight(name, table), rows)

    def linear(self, graph: Graph, x: str, name: str, weight: Array, bias: Array) -> str:
        """See `Dialect`."""
        return graph.op("Gemm", x, graph.weight(f"{name}.weight", weight.T), graph.weight(f"{name}.bias", bias))

    def attention(self, layout: Layout, query: str, key: str, value: str, heads: Heads) -> str:
        """See `Dialect`."""

        def write(view: View | EvenView) -> str:
            graph, hidden = view.graph, heads.hidden
            grids = [view.grid(flat, hidden) for flat in (key, value)]
            asking = graph.op("Unsqueeze", query, graph.ints(1)) if heads.first_only else view.grid(query, hidden)
            mask = ["", view.mask] if view.mask else []
            y = graph.op("MultiHeadAttention", asking, *grids, *mask, domain="com.microsoft", num_heads=heads.count)
            return graph.op("Squeeze", y, graph.ints(1)) if heads.first_only else view.flat(y, hidden)

        return layout.each(write)

    def activation(self, graph: Graph, x: str, name: str) -> str:
        """See `Dialect`."""
        operator, domain, attributes = ACTIVATIONS[name]
        return graph.op(operator, x, domain=domain, **attributes)

    def layer_norm(self, graph: Graph, x: str, name: str, gamma: Array, beta: Array, epsilon: float) -> str:
        """See `Dialect`."""
        weights = graph.weight(f"{name}.weight", gamma), graph.weight(f"{name}.bias", beta)
        return graph.op("LayerNormalization", x, *weights, axis=-1, epsilon=epsilon)
