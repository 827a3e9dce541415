"""What a dialect is: how a target spells the parts of the model. `graph.bert` says what the model is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..layouts.layout import Layout, View
from ..layouts.ragged import Ragged
from ..nodes import MICROSOFT, OPSETS, Graph
from ..operators import ATTENTION_BIAS, FLOAT_OPERATORS, Operator
from ..pooling import joined, mean_of

Array = NDArray[np.float32]


# A function of `simcse_export.checkpoint.architecture.ACTIVATIONS` → operator, domain, attributes.
OPERATORS: dict[str, tuple[str, str, dict[str, float]]] = {
    "gelu": ("Gelu", MICROSOFT, {}),
    "gelu_tanh": ("FastGelu", MICROSOFT, {}),
    "quick_gelu": ("QuickGelu", MICROSOFT, {"alpha": 1.702}),
    "silu": ("QuickGelu", MICROSOFT, {"alpha": 1.0}),
    "relu": ("Relu", "", {}),
    "tanh": ("Tanh", "", {}),
}


@dataclass(frozen=True, kw_only=True)
class Heads:
    """The shape of one layer's attention.

    Attributes:
        count: how many heads share ``hidden``.
        hidden: width of queries, keys, values and result.
        first_only: whether there are queries for the sentences' first tokens alone.
        bias: what is added to scores, by distance (`simcse_export.checkpoint.attention_bias`); None for nothing.
    """

    count: int
    hidden: int
    first_only: bool
    bias: Array | None = None


@dataclass(frozen=True, kw_only=True)
class Linear:
    """A linear layer of the checkpoint: its name, ``weight`` [out, in] and ``bias`` [out]."""

    name: str
    weight: Array
    bias: Array


@dataclass(frozen=True, kw_only=True)
class Norm:
    """A LayerNorm over the features: its name, ``gamma`` and ``beta`` [features]."""

    name: str
    gamma: Array
    beta: Array
    epsilon: float


class Dialect:
    """The dialect of ONNX Runtime's CPU provider in float32, and the base of all others.

    Tensors are [tokens, features] unless stated otherwise. Gemm on flat rows takes the bias along and has its weights
    packed once at load. Attention is `MultiHeadAttention`, which without mask and bias runs tile by tile in cache. The
    sum before a LayerNormalization stays an Add of its own: the fused SkipLayerNormalization is a scalar loop in the
    runtime.

    Attributes:
        layout: how a run's tokens lie.
        opset: the version of ONNX's operators.
        operators: parts of the model → those of our own operators that stand for them; none for a target that is to
            see every node.
    """

    layout: type[Layout] = Ragged
    opset = OPSETS[""]
    operators: Mapping[str, Operator] = FLOAT_OPERATORS

    def embedding(self, graph: Graph, rows: str, name: str, table: Array) -> str:
        """The ``rows`` of ``table`` [entries, hidden]."""
        return graph.op("Gather", graph.weight(name, table), rows)

    def linear(self, graph: Graph, x: str, layer: Linear) -> str:
        """X · weightᵀ + bias."""
        weight = graph.weight(f"{layer.name}.weight", layer.weight.T)
        return graph.op("Gemm", x, weight, graph.weight(f"{layer.name}.bias", layer.bias))

    def activated(self, graph: Graph, x: str, layer: Linear, function: str) -> str:
        """The linear layer, then this function, a value of `simcse_export.checkpoint.architecture.ACTIVATIONS`."""
        return self.activation(graph, self.linear(graph, x, layer), function)

    def add_norm(self, graph: Graph, x: str, skip: str, norm: Norm, *, after: Linear | None = None) -> str:
        """The norm of x + ``skip``; with ``after``, of ``skip`` and what that linear layer makes of x."""
        if after is not None:
            x = self.linear(graph, x, after)
        return self.layer_norm(graph, graph.op("Add", x, skip), norm)

    def self_attention(
        self, layout: Layout, x: str, heads: Heads, *, query: Linear, key: Linear, value: Linear
    ) -> tuple[str, str]:
        """`attention` of the tokens of ``x`` to each other, and those rows of ``x`` that the result is of."""
        keys, values = (self.linear(layout.graph, x, layer) for layer in (key, value))
        rows = layout.first_tokens(x) if heads.first_only else x
        queries = self.linear(layout.graph, rows if layout.takes_first_queries else x, query)
        return self.attention(layout, queries, keys, values, heads), rows

    def attention(self, layout: Layout, query: str, key: str, value: str, heads: Heads) -> str:
        """Softmax(Q Kᵀ / √d + bias) V per sentence and head; with ``heads.first_only``, of the first tokens' queries.

        The bias is `attention_bias`'s, where ``heads`` have one.
        """

        def write(view: View) -> str:
            graph, hidden = view.graph, heads.hidden
            grids = [view.grid(flat, hidden) for flat in (key, value)]
            queries = graph.op("Unsqueeze", query, graph.ints(1)) if heads.first_only else view.grid(query, hidden)
            bias = "" if heads.bias is None else self.attention_bias(graph, heads.bias, heads, layout.longest)
            others = ["", view.mask, bias]
            while others and not others[-1]:
                others.pop()
            y = graph.op("MultiHeadAttention", queries, *grids, *others, domain=MICROSOFT, num_heads=heads.count)
            return graph.op("Squeeze", y, graph.ints(1)) if heads.first_only else view.flat(y, hidden)

        return layout.on_grid(write)

    def attention_bias(self, graph: Graph, bias: Array, heads: Heads, longest: str) -> str:
        """What is added to scores, [1, heads, queries, keys], in a run whose ``longest`` text has so many tokens."""
        keys = graph.op("Range", graph.scalar(0), graph.op("Squeeze", longest, graph.ints(0)), graph.scalar(1))
        columns = graph.op("Unsqueeze", graph.op("Add", keys, graph.scalar(bias.shape[1] // 2)), graph.ints(0))
        if not heads.first_only:
            columns = graph.op("Sub", columns, graph.op("Unsqueeze", keys, graph.ints(1)))
        by_place = graph.op("Gather", graph.weight(ATTENTION_BIAS, bias), columns, axis=1)
        return graph.op("Unsqueeze", by_place, graph.ints(0))

    def activation(self, graph: Graph, x: str, function: str) -> str:
        """One of `OPERATORS`."""
        operator, domain, attributes = OPERATORS[function]
        return graph.op(operator, x, domain=domain, **attributes)

    def layer_norm(self, graph: Graph, x: str, norm: Norm) -> str:
        """Normalize over the features."""
        weights = graph.weight(f"{norm.name}.weight", norm.gamma), graph.weight(f"{norm.name}.bias", norm.beta)
        return graph.op("LayerNormalization", x, *weights, axis=-1, epsilon=norm.epsilon)

    def joined(self, layout: Layout, states: Sequence[str], pooler: str, hidden: int, skipped: str = "") -> str:
        """What a pooler of all tokens makes of one tensor, or an average of two: float32 [sentences, hidden].

        ``skipped`` is as for `graph.pooling.joined`.
        """
        return joined(layout, self.mean_of(layout.graph, states), pooler, hidden, skipped)

    def mean_of(self, graph: Graph, states: Sequence[str]) -> str:
        """The mean of one or two tensors of one shape."""
        return mean_of(graph, states)

    def vectors(self, graph: Graph, x: str) -> str:  # noqa: ARG002 - other dialects convert
        """``x`` in float32, the type of every artifact's vectors."""
        return x
