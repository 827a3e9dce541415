"""The BERT and RoBERTa encoder, written once: embeddings, layers, pooler, norm. A dialect spells its parts.

Devlin et al. 2018 (arXiv:1810.04805), Liu et al. 2019 (arXiv:1907.11692); poolers: Gao et al. 2021 (arXiv:2104.08821).
"""

import onnx

from ..checkpoint.architecture import ACTIVATIONS, TOKEN_TYPES, Architecture, Weights
from .dialects.dialect import Dialect, Heads, Linear, Norm
from .layouts.layout import View
from .nodes import INT64, Graph, output
from .pooling import AVERAGED, first_floats, unit


def author(
    architecture: Architecture,
    weights: Weights,
    dialect: Dialect,
    *,
    pooler: str,
    truncate_dim: int | None = None,
    normalize: bool,
) -> onnx.ModelProto:
    """Write the graph, from the inputs of the dialect's layout to ``sentence_embedding`` [sentences, dimension].

    ``weights`` are named as in `Architecture.shapes`, with `TOKEN_TYPES` where the model has token types. The dimension
    is ``truncate_dim``, or the hidden size for None.
    """
    return _Author(architecture, weights, dialect).write(pooler, truncate_dim, normalize)


class _Author:
    def __init__(self, architecture: Architecture, weights: Weights, dialect: Dialect) -> None:
        self.architecture = architecture
        self.weights = weights
        self.dialect = dialect
        self.graph = Graph()
        self.layout = dialect.layout(self.graph)

    def write(self, pooler: str, truncate_dim: int | None, normalize: bool) -> onnx.ModelProto:
        graph = self.graph
        first_only = pooler not in AVERAGED
        with graph.scope("embeddings"):
            states = [self.embeddings()]
        for i in range(self.architecture.layers):
            last = i == self.architecture.layers - 1
            with graph.scope(f"layer.{i}"):
                states.append(self.layer(states[-1], f"encoder.layer.{i}", first_only=first_only and last))
        with graph.scope("pooler"):
            if pooler == "cls":
                head = self.weights_of("pooler.dense")
                vectors = self.dialect.vectors(graph, self.dialect.activated(graph, states[-1], head, "tanh"))
            elif first_only:
                vectors = self.dialect.vectors(graph, states[-1])
            else:
                averaged = [states[i] for i in AVERAGED[pooler]]
                vectors = self.dialect.mean(self.layout, averaged, self.architecture.hidden)
            if truncate_dim is not None:
                vectors = first_floats(graph, vectors, truncate_dim)
            if normalize:
                vectors = unit(graph, vectors)
        graph.rename(vectors, "sentence_embedding")
        return graph.model(
            self.layout.inputs(), output(truncate_dim or self.architecture.hidden), opset=self.dialect.opset
        )

    def embeddings(self) -> str:
        graph = self.graph
        names = "embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight"
        # Every token is of type 0, so that type's row goes into the position table.
        words, positions = (self.weights[name] for name in names)
        types = self.weights.get(TOKEN_TYPES)
        positions = positions if types is None else positions + types[0]
        word = self.dialect.embedding(graph, self.layout.ids, names[0], words)
        rows = self.layout.positions or self.layout.on_grid(self.positions, INT64)
        position = self.dialect.embedding(graph, rows, names[1], positions)
        return self.add_norm(word, position, "embeddings.LayerNorm")

    def positions(self, view: View) -> str:
        """int64 [tokens], each token's row of the position table."""
        graph = view.graph
        ids = view.grid(self.layout.ids)
        if self.architecture.family == "bert":
            return view.flat(graph.op("CumSum", graph.filled_like(ids, 1), graph.scalar(view.axis), exclusive=1))
        # RoBERTa counts from padding_id + 1, and a padding token typed into a text keeps position padding_id.
        padding = graph.ints(self.architecture.padding_id)
        real = graph.op("Cast", graph.op("Not", graph.op("Equal", ids, padding)), to=INT64)
        counted = graph.op("Mul", graph.op("CumSum", real, graph.scalar(view.axis)), real)
        return view.flat(graph.op("Add", counted, padding))

    def layer(self, x: str, name: str, *, first_only: bool) -> str:
        """One transformer layer; with ``first_only`` its output is [sentences, hidden], the first tokens' alone.

        Nothing reads the other tokens' output then, so their queries, projections and feed-forward are left out; their
        keys and values are not.
        """
        key, value = (self.linear(x, f"{name}.attention.self.{part}") for part in ("key", "value"))
        firsts = self.layout.first_tokens(x) if first_only else x
        query = self.linear(firsts if self.layout.takes_first_queries else x, f"{name}.attention.self.query")
        heads = Heads(count=self.architecture.heads, hidden=self.architecture.hidden, first_only=first_only)
        y = self.dialect.attention(self.layout, query, key, value, heads)
        x = self.add_norm(y, firsts, f"{name}.attention.output.LayerNorm", after=f"{name}.attention.output.dense")
        up = self.weights_of(f"{name}.intermediate.dense")
        y = self.dialect.activated(self.graph, x, up, ACTIVATIONS[self.architecture.activation])
        return self.add_norm(y, x, f"{name}.output.LayerNorm", after=f"{name}.output.dense")

    def linear(self, x: str, name: str) -> str:
        return self.dialect.linear(self.graph, x, self.weights_of(name))

    def add_norm(self, x: str, skip: str, name: str, *, after: str | None = None) -> str:
        gamma, beta = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        norm = Norm(name=name, gamma=gamma, beta=beta, epsilon=self.architecture.epsilon)
        return self.dialect.add_norm(self.graph, x, skip, norm, after=self.weights_of(after) if after else None)

    def weights_of(self, name: str) -> Linear:
        return Linear(name=name, weight=self.weights[f"{name}.weight"], bias=self.weights[f"{name}.bias"])
