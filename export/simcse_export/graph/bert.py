"""The encoder of BERT and its relatives, written once: embeddings, layers, pooler, norm. A dialect spells its parts.

Devlin et al. 2018 (arXiv:1810.04805), Liu et al. 2019 (arXiv:1907.11692), Sanh et al. 2019 (arXiv:1910.01108), Song et
al. 2020 (arXiv:2004.09297); poolers: Gao et al. 2021 (arXiv:2104.08821).
"""

from collections.abc import Callable, Sequence
from functools import partial

import onnx
from onnx import helper

from simcse_engine.session.feeds import SKIPPED

from ..checkpoint.architecture import ACTIVATIONS, RELATIVE_BIAS, TOKEN_TYPES, Architecture, Weights
from ..checkpoint.attention_bias import by_distance
from ..tail.part import Part
from .dialects.dialect import Dialect, Heads, Linear, Norm
from .functions import Function
from .layouts.layout import Layout, View
from .nodes import INT64, Graph, output
from .pooling import AVERAGED, FIRST_TOKEN, finished, first_floats


def author(
    architecture: Architecture,
    weights: Weights,
    dialect: Dialect,
    *,
    pooler: str,
    include_prompt: bool = True,
    tail: Sequence[Part] = (),
    truncate_dim: int | None = None,
    normalize: bool,
) -> onnx.ModelProto:
    """Write the graph, from the inputs of the dialect's layout to ``sentence_embedding`` [sentences, dimension].

    ``weights`` are named as in `Architecture.shapes`, with `TOKEN_TYPES` where the model has token types. The dimension
    is ``truncate_dim``, or for None that of the tail's last part, without one the hidden size. Without
    ``include_prompt``, a further input says how many first tokens pooling leaves out.
    """
    return _Author(architecture, weights, dialect, include_prompt).write(pooler, tail, truncate_dim, normalize)


class _Author:
    def __init__(self, architecture: Architecture, weights: Weights, dialect: Dialect, include_prompt: bool) -> None:
        self.skipped = "" if include_prompt else SKIPPED
        self.architecture = architecture
        self.weights = weights
        self.dialect = dialect
        self.graph = Graph(opset=dialect.opset)
        self.layout = dialect.layout(self.graph)
        self.activation = ACTIVATIONS[architecture.activation]
        buckets = weights.get(RELATIVE_BIAS)
        self.bias = None if buckets is None else by_distance(buckets, architecture.longest)

    def write(self, pooler: str, tail: Sequence[Part], truncate_dim: int | None, normalize: bool) -> onnx.ModelProto:
        numbers = self.architecture
        first_only = pooler in FIRST_TOKEN and not self.skipped
        padding_id = -1 if numbers.skipped_id is None else numbers.skipped_id
        epsilon = numbers.epsilon
        states = [self.part("embeddings", "embeddings", self.embeddings, epsilon=epsilon, padding_id=padding_id)]
        for i in range(numbers.layers):
            last = first_only and i == numbers.layers - 1
            kind, name = "first layer" if last else "layer", f"encoder.layer.{i}"
            write = partial(self.layer, name=name, first_only=last)
            attributes = {"heads": numbers.heads, "epsilon": epsilon, "activation": self.activation}
            states.append(self.part(kind, name, write, states[-1], **attributes))
        # Our kernels cut and scale what they have pooled; what a tail makes of it is for the runtime.
        cut, to_unit = (None, False) if tail else (truncate_dim, normalize)
        pooled = [states[i] for i in AVERAGED.get(pooler, (-1,))]
        if self.skipped:
            # Rows of our kernels are wider than the model.
            pooled = [first_floats(self.graph, each, numbers.hidden) for each in pooled]
        vectors = self.part(
            # There is no operator of ours for it.
            "pooling of some tokens" if self.skipped else "pooling",
            "pooler",
            partial(self.pooled, pooler=pooler, truncate_dim=cut, normalize=to_unit),
            *pooled,
            pooler="first" if first_only else "mean" if pooler in AVERAGED else pooler,
            dimension=cut or numbers.hidden,
            normalize=int(to_unit),
        )
        if tail:
            vectors = finished(self.graph, vectors, tail, truncate_dim, normalize=normalize)
        self.graph.rename(vectors, "sentence_embedding")
        dimension = truncate_dim or (tail[-1].dimension if tail else numbers.hidden)
        further = [helper.make_tensor_value_info(SKIPPED, INT64, [1])] if self.skipped else []
        return self.graph.model([*self.layout.inputs(), *further], output(dimension))

    def part(self, kind: str, place: str, write: Callable[..., str], *states: str, **attributes: float | str) -> str:
        """A part of the model: an operator of ours where the dialect has one for it, else what ``write`` spells out.

        ``write`` takes a layout and the part's ``states``, one or two; the part's weights are named ``place`` and more.
        ``attributes`` say to the node's kernel what the function itself was written for.
        """
        operator = self.dialect.operators.get(kind)
        with self.graph.scope(place):
            if operator is None:
                return write(self.layout, *states)
            function = Function(self.graph, operator, place)
            names = "states", "other"
            result = write(self.dialect.layout(function, "ids"), *names[: len(states)])
            tensors = {"ids": "input_ids", "lengths": "lengths", **dict(zip(names, states, strict=False))}
            return function.call(result, tensors, **attributes)

    def embeddings(self, layout: Layout) -> str:
        graph = layout.graph
        names = "embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight"
        # Every token is of type 0, so that type's row goes into the position table.
        words, positions = (self.weights[name] for name in names)
        types = self.weights.get(TOKEN_TYPES)
        positions = positions if types is None else positions + types[0]
        word = self.dialect.embedding(graph, layout.ids, names[0], words)
        rows = layout.positions or layout.on_grid(partial(self.positions, layout.ids), INT64)
        position = self.dialect.embedding(graph, rows, names[1], positions)
        return self.add_norm(graph, word, position, "embeddings.LayerNorm")

    def positions(self, ids: str, view: View) -> str:
        """int64 [tokens], each token's row of the position table."""
        graph = view.graph
        ids = view.grid(ids)
        # Of padding that stays, each has a row that exists, and counts for no other.
        kept = graph.op("Cast", view.mask, to=INT64) if view.keeps_padding else ""
        if self.architecture.skipped_id is None:
            if kept:
                return view.flat(graph.op("Mul", graph.op("CumSum", kept, graph.scalar(view.axis), exclusive=1), kept))
            return view.flat(graph.op("CumSum", graph.filled_like(ids, 1), graph.scalar(view.axis), exclusive=1))
        # RoBERTa and MPNet count from padding_id + 1; a padding token typed into a text keeps position padding_id.
        padding = graph.ints(self.architecture.skipped_id)
        real = graph.op("Cast", graph.op("Not", graph.op("Equal", ids, padding)), to=INT64)
        if kept:
            real = graph.op("Mul", real, kept)
        counted = graph.op("Mul", graph.op("CumSum", real, graph.scalar(view.axis)), real)
        return view.flat(graph.op("Add", counted, padding))

    def layer(self, layout: Layout, x: str, *, name: str, first_only: bool) -> str:
        """One transformer layer; with ``first_only`` its output is [sentences, hidden], the first tokens' alone.

        Nothing reads the other tokens' output then, so their queries, projections and feed-forward are left out; their
        keys and values are not.
        """
        graph = layout.graph
        numbers = self.architecture
        heads = Heads(count=numbers.heads, hidden=numbers.hidden, first_only=first_only, bias=self.bias)
        linears = {part: self.weights_of(f"{name}.attention.self.{part}") for part in ("query", "key", "value")}
        y, rows = self.dialect.self_attention(layout, x, heads, **linears)
        after = f"{name}.attention.output.dense"
        x = self.add_norm(graph, y, rows, f"{name}.attention.output.LayerNorm", after=after)
        up = self.weights_of(f"{name}.intermediate.dense")
        y = self.dialect.activated(graph, x, up, self.activation)
        return self.add_norm(graph, y, x, f"{name}.output.LayerNorm", after=f"{name}.output.dense")

    def pooled(self, layout: Layout, *states: str, pooler: str, truncate_dim: int | None, normalize: bool) -> str:
        """From a layer's states, or two layers' to average over, to the sentences' vectors."""
        graph = layout.graph
        if pooler not in FIRST_TOKEN:
            vectors = self.dialect.joined(layout, states, pooler, self.architecture.hidden, self.skipped)
            return finished(graph, vectors, (), truncate_dim, normalize=normalize)
        if self.skipped:
            states = (layout.tokens_at(*states, self.skipped),)
        if pooler == "cls":
            head = self.weights_of("pooler.dense")
            vectors = self.dialect.vectors(graph, self.dialect.activated(graph, *states, head, "tanh"))
        else:
            vectors = self.dialect.vectors(graph, *states)
        return finished(graph, vectors, (), truncate_dim, normalize=normalize)

    def add_norm(self, graph: Graph, x: str, skip: str, name: str, *, after: str | None = None) -> str:
        gamma, beta = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        norm = Norm(name=name, gamma=gamma, beta=beta, epsilon=self.architecture.epsilon)
        return self.dialect.add_norm(graph, x, skip, norm, after=self.weights_of(after) if after else None)

    def weights_of(self, name: str) -> Linear:
        return Linear(name=name, weight=self.weights[f"{name}.weight"], bias=self.weights[f"{name}.bias"])
