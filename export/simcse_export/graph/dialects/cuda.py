"""The dialect of ONNX Runtime's CUDA provider: fused attention without padding, fused sums and norms."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...checkpoint.architecture import Architecture, Weights
from ..layouts.layout import Layout
from ..layouts.packed import CUMULATIVE_LENGTHS, TOKEN_OFFSET, Packed
from ..nodes import INT32, MICROSOFT, Graph
from ..operators import ATTENTION_BIAS
from ..pooling import AVERAGED, FIRST_TOKEN
from .dialect import Array, Heads, Linear, Norm
from .gpu import HIDDEN_SCORE, Gpu

# Those that need no grid of a run's tokens.
POOLERS = (*FIRST_TOKEN, *AVERAGED, "mean_sqrt_len", "lasttoken")

# Flash attention has a kernel of each.
_HEAD_SIZES = (64, 32)


@dataclass(frozen=True, kw_only=True)
class CudaOptions:
    """Which of several spellings of one model is written. The defaults have run on a GPU, but for two casts since gone.

    What each costs is predicted by ``benchmarks/choices/cuda_layer.py``, and measured by
    ``benchmarks/choices/spellings.py``.

    Attributes:
        packed: whether queries, keys and values are one product, which attention takes apart and adds the biases to.
            Without, they are three, and queries get their bias from an Add.
        tanh_gelu: whether "gelu" is written with its tanh approximation, as ``gelu_tanh`` always is.
    """

    packed: bool = False
    tanh_gelu: bool = False


class Cuda(Gpu):
    """One kernel for attention (flash attention in float16), one for a bias and GELU, one for bias, sum and norm.

    Queries, keys and values are three products: packed into one tensor they would miss flash attention for texts of
    less than 513 tokens, and with a bias of the attention's own they would be copied first. So `folded` leaves only
    queries a bias. `CudaOptions` has what else could be written.
    """

    layout = Packed

    def __init__(self, precision: str, wide: Collection[str] = (), options: CudaOptions | None = None) -> None:
        """As `Gpu`, in the spelling that ``options`` name."""
        super().__init__(precision, wide)
        self._options = options or CudaOptions()

    def self_attention(
        self, layout: Layout, x: str, heads: Heads, *, query: Linear, key: Linear, value: Linear
    ) -> tuple[str, str]:
        """See `Dialect`: with one product for all three if the options say so."""
        linears = query, key, value
        if not self._options.packed or any(layer.name in self._wide for layer in linears):
            return super().self_attention(layout, x, heads, query=query, key=key, value=value)
        rows = layout.first_tokens(x) if heads.first_only else x
        y = self.attend_packed(layout, self.product(layout.graph, x, side_by_side(linears, heads)), linears, heads)
        return layout.first_tokens(y) if heads.first_only else y, rows

    def attention(self, layout: Layout, query: str, key: str, value: str, heads: Heads) -> str:
        """See `Dialect`: every token has a query, and the first tokens' results are taken out."""
        y = self.attend(layout, query, key, value, replace(heads, first_only=False))
        return layout.first_tokens(y) if heads.first_only else y

    def attend_packed(self, layout: Layout, products: str, linears: Sequence[Linear], heads: Heads) -> str:
        """`attend` to what one product with `side_by_side` gave, still without the ``linears``' biases."""
        graph = layout.graph
        by_head = graph.ints(-1, heads.count, len(linears), heads.hidden // heads.count)
        bias = self.constant(graph, f"{linears[0].name}.biases", np.concatenate([layer.bias for layer in linears]))
        inputs = [graph.op("Reshape", products, by_head), "", "", bias, TOKEN_OFFSET, CUMULATIVE_LENGTHS]
        if heads.bias is not None:
            inputs.append(self.attention_bias(graph, heads.bias, replace(heads, first_only=False), layout.longest))
        return graph.op("PackedMultiHeadAttention", *inputs, domain=MICROSOFT, num_heads=heads.count)

    def attend(self, layout: Layout, query: str, key: str, value: str, heads: Heads) -> str:
        """Attention of each sentence's tokens to each other, [tokens, hidden]."""
        graph = layout.graph
        inputs = [self.cast(graph, each) for each in (query, key, value)]
        inputs += ["", TOKEN_OFFSET, CUMULATIVE_LENGTHS]
        if heads.bias is not None:
            inputs.append(self.attention_bias(graph, heads.bias, heads, layout.longest))
        return graph.op("PackedMultiHeadAttention", *inputs, domain=MICROSOFT, num_heads=heads.count)

    def activated(self, graph: Graph, x: str, layer: Linear, function: str) -> str:
        if function != "gelu":
            return super().activated(graph, x, layer, function)
        operator = "FastGelu" if self._options.tanh_gelu else "BiasGelu"
        y = graph.op(operator, self.product(graph, x, layer), self.bias(graph, layer), domain=MICROSOFT)
        return self._as_wide(layer, y)

    def add_norm(self, graph: Graph, x: str, skip: str, norm: Norm, *, after: Linear | None = None) -> str:
        """See `Dialect`: one kernel, which the session makes compute in float32."""
        single = after is not None and after.name in self._wide
        bias = []
        if after is not None:
            x = self.product(graph, x, after)
            bias = [self.bias(graph, after)]
        parts = [self.cast(graph, each, single=single) for each in (x, skip)]
        parts += [
            self.constant(graph, f"{norm.name}.{name}", array, single=single)
            for name, array in (("weight", norm.gamma), ("bias", norm.beta))
        ]
        y = graph.op("SkipLayerNormalization", *parts, *bias, domain=MICROSOFT, epsilon=norm.epsilon)
        if single:
            self._singles.add(y)
        return self.cast(graph, y)

    def joined(self, layout: Layout, states: Sequence[str], pooler: str, hidden: int, skipped: str = "") -> str:
        """See `Dialect`: attention whose queries are zero weighs all tokens of a sentence alike."""
        graph = layout.graph
        if pooler not in POOLERS or skipped:
            raise ValueError(f"pooler {pooler}{', of some tokens,' if skipped else ''} is not written for packed rows")
        if pooler == "lasttoken":
            return self.vectors(graph, layout.last_tokens(*states))
        # One tensor is its mean as it is, without a way through float32.
        x = self.cast(graph, *states) if len(states) == 1 else self.cast(graph, self.mean_of(graph, states))
        count = hidden // next(size for size in (*_HEAD_SIZES, hidden) if hidden % size == 0)
        y = self.attend(layout, graph.op("Sub", x, x), x, x, Heads(count=count, hidden=hidden, first_only=False))
        vectors = self.vectors(graph, layout.first_tokens(y))
        # Their sum over the root of their count is their mean times that root.
        return graph.op("Mul", vectors, graph.op("Sqrt", layout.lengths())) if pooler == "mean_sqrt_len" else vectors


class CudaOnCpu(Cuda):
    """The same graph for a CPU, which has no kernel of the fused attention: to check the rest, and the layout."""

    def attend(self, layout: Layout, query: str, key: str, value: str, heads: Heads) -> str:
        """See `Cuda`: tokens attend to all tokens of the run, and a mask hides those of other sentences."""
        graph = layout.graph
        ones = graph.op("Cast", graph.op("Equal", "input_ids", "input_ids"), to=INT32)
        places = graph.op("Unsqueeze", graph.op("CumSum", ones, graph.scalar(0)), graph.ints(1))
        # Counted from 1, a token is in the sentence whose number is that of the boundaries before it.
        boundaries = graph.op("Unsqueeze", CUMULATIVE_LENGTHS, graph.ints(0))
        before = graph.op("Cast", graph.op("Less", boundaries, places), to=INT32)
        sentence = graph.op("ReduceSum", before, graph.ints(1), keepdims=1)
        together = graph.op("Equal", sentence, graph.op("Transpose", sentence, perm=[1, 0]))
        each = heads.hidden // heads.count
        by_head = graph.ints(-1, heads.count, each)
        q, k, v = (
            graph.op("Transpose", graph.op("Reshape", self.cast(graph, x), by_head), perm=perm)
            for x, perm in ((query, [1, 0, 2]), (key, [1, 2, 0]), (value, [1, 0, 2]))
        )
        scores = graph.op("Mul", graph.op("MatMul", q, k), self.number(graph, each**-0.5))
        if heads.bias is not None:
            # Sentences lie end to end: of two tokens of one, the places are as far apart as in it.
            middle = heads.bias.shape[1] // 2
            distances = graph.op("Sub", graph.op("Transpose", places, perm=[1, 0]), places)
            limits = (
                graph.weight(f"int32 {-middle}", np.array(-middle, np.int32)),
                graph.weight(f"int32 {middle}", np.array(middle, np.int32)),
            )
            columns = graph.op(
                "Add", graph.op("Clip", distances, *limits), graph.weight(f"int32 {middle}", np.array(middle, np.int32))
            )
            table = self.constant(graph, ATTENTION_BIAS, heads.bias)
            scores = graph.op("Add", scores, graph.op("Gather", table, columns, axis=1))
        scores = graph.op("Where", together, scores, self.number(graph, HIDDEN_SCORE))
        y = graph.op("MatMul", graph.op("Softmax", scores, axis=-1), v)
        return graph.op("Reshape", graph.op("Transpose", y, perm=[1, 0, 2]), graph.ints(-1, heads.hidden))

    def attend_packed(self, layout: Layout, products: str, linears: Sequence[Linear], heads: Heads) -> str:
        """See `Cuda`: the parts are taken out of the product, and attended to as three."""
        graph = layout.graph
        by_head = graph.op("Reshape", products, graph.ints(-1, heads.count, 3, heads.hidden // heads.count))
        parts = []
        for i, layer in enumerate(linears):
            part = graph.op("Gather", by_head, graph.scalar(i), axis=2)
            part = graph.op("Reshape", part, graph.ints(-1, heads.hidden))
            parts.append(graph.op("Add", part, self.bias(graph, layer)))
        return self.attend(layout, *parts, replace(heads, first_only=False))


def side_by_side(linears: Sequence[Linear], heads: Heads) -> Linear:
    """One linear layer without bias for several that read the same: [heads, layers, size of a head] results."""
    rows = [layer.weight.reshape(heads.count, 1, -1, layer.weight.shape[1]) for layer in linears]
    weight = np.concatenate(rows, axis=1).reshape(-1, linears[0].weight.shape[1])
    return Linear(name=f"{linears[0].name}.packed", weight=weight, bias=np.zeros(len(weight), np.float32))


def folded(architecture: Architecture, weights: Weights) -> dict[str, Array]:
    """The same model without biases of keys and values.

    A key's bias adds the same to all scores of a query, which softmax ignores. A value's bias passes through attention
    unchanged, since its weights sum to one, and becomes a bias of the product after it.
    """
    changed = dict(weights)
    for i in range(architecture.layers):
        name = f"encoder.layer.{i}.attention"
        value, after = weights[f"{name}.self.value.bias"], weights[f"{name}.output.dense.weight"]
        changed[f"{name}.output.dense.bias"] = weights[f"{name}.output.dense.bias"] + after @ value
        for part in ("key", "value"):
            changed[f"{name}.self.{part}.bias"] = np.zeros_like(value)
    return changed
