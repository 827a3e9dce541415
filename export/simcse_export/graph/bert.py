"""The BERT and RoBERTa encoder, written once: embeddings, layers, pooler, norm. A dialect spells its parts.

Devlin et al. 2018 (arXiv:1810.04805), Liu et al. 2019 (arXiv:1907.11692); poolers: Gao et al. 2021 (arXiv:2104.08821).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from simcse_engine.errors import CheckpointError

from .dialects.dialect import ACTIVATIONS, Dialect, Heads, Linear, Norm
from .layouts.layout import View
from .nodes import INT64, Graph, output
from .pooling import AVERAGED, unit

Weights = Mapping[str, NDArray[np.float32]]

TOKEN_TYPES = "embeddings.token_type_embeddings.weight"

_ONE = helper.make_tensor("one", INT64, [1], [1])

# transformers implements each of these model types with the same computation as its family's first.
_FAMILIES = {"bert": "bert", "roberta": "roberta", "xlm-roberta": "roberta", "camembert": "roberta"}


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """The numbers of a BERT or RoBERTa encoder.

    Attributes:
        family: "bert" (positions count from 0) or "roberta" (from padding_id + 1, and padding tokens are skipped).
        activation: the config's ``hidden_act``.
    """

    family: str
    layers: int
    hidden: int
    heads: int
    intermediate: int
    vocabulary: int
    positions: int
    activation: str
    epsilon: float
    padding_id: int

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self | None:
        """Read a checkpoint's config; None where it holds anything that this graph does not know.

        Raises:
            CheckpointError: the config lacks a number of its family, or has something else in its place.
        """
        family = _FAMILIES.get(config["model_type"])
        known = (
            family is not None
            and str(config.get("hidden_act", "gelu")) in ACTIVATIONS
            and config.get("position_embedding_type", "absolute") == "absolute"
            and not config.get("is_decoder")
            and not config.get("add_cross_attention")
            and not config.get("pruned_heads")
        )
        if not known or family is None:
            return None
        return cls(
            family=family,
            layers=_count(config, "num_hidden_layers"),
            hidden=_count(config, "hidden_size"),
            heads=_count(config, "num_attention_heads"),
            intermediate=_count(config, "intermediate_size"),
            vocabulary=_count(config, "vocab_size"),
            positions=_count(config, "max_position_embeddings"),
            activation=config.get("hidden_act", "gelu"),
            epsilon=_epsilon(config),
            padding_id=config.get("pad_token_id", 1 if family == "roberta" else 0) or 0,
        )

    def shapes(self, pooler: str) -> dict[str, tuple[int, ...]]:
        """Every tensor that the graph needs, by its canonical name, with its shape."""
        hidden, wide = self.hidden, self.intermediate
        shapes: dict[str, tuple[int, ...]] = {
            "embeddings.word_embeddings.weight": (self.vocabulary, hidden),
            "embeddings.position_embeddings.weight": (self.positions, hidden),
        }

        def linear(name: str, features_out: int, features_in: int) -> None:
            shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (features_out, features_in), (features_out,)

        def norm(name: str) -> None:
            shapes[f"{name}.weight"] = shapes[f"{name}.bias"] = (hidden,)

        norm("embeddings.LayerNorm")
        for i in range(self.layers):
            for part in ("query", "key", "value"):
                linear(f"encoder.layer.{i}.attention.self.{part}", hidden, hidden)
            linear(f"encoder.layer.{i}.attention.output.dense", hidden, hidden)
            norm(f"encoder.layer.{i}.attention.output.LayerNorm")
            linear(f"encoder.layer.{i}.intermediate.dense", wide, hidden)
            linear(f"encoder.layer.{i}.output.dense", hidden, wide)
            norm(f"encoder.layer.{i}.output.LayerNorm")
        if pooler == "cls":
            linear("pooler.dense", hidden, hidden)
        return shapes


def _count(config: Mapping[str, Any], name: str) -> int:
    value = config.get(name)
    if not isinstance(value, int) or value < 1:
        raise CheckpointError(f"config.json lacks {name!r}" if value is None else f"config.json: {name} is {value!r}")
    return value


def _epsilon(config: Mapping[str, Any]) -> float:
    value = config.get("layer_norm_eps", 1e-12)
    if not isinstance(value, float | int) or isinstance(value, bool) or not value > 0:
        raise CheckpointError(f"config.json: layer_norm_eps is {value!r}")
    return float(value)


def author(
    architecture: Architecture, weights: Weights, dialect: Dialect, *, pooler: str, normalize: bool
) -> onnx.ModelProto:
    """Write the graph: ``input_ids`` [tokens], ``lengths`` [sentences] → ``sentence_embedding`` [sentences, hidden].

    Args:
        architecture: the model's numbers.
        weights: float32 tensors under the names of `Architecture.shapes`, and
            `TOKEN_TYPES` where the model has token types.
        dialect: how the target spells the parts.
        pooler: one of `simcse_engine.artifact.kinds.POOLERS`.
        normalize: scale to unit length inside the graph.
    """
    return _Author(architecture, weights, dialect).write(pooler, normalize)


class _Author:
    def __init__(self, architecture: Architecture, weights: Weights, dialect: Dialect) -> None:
        self.architecture = architecture
        self.weights = weights
        self.dialect = dialect
        self.graph = Graph()
        self.layout = dialect.layout(self.graph)

    def write(self, pooler: str, normalize: bool) -> onnx.ModelProto:
        graph = self.graph
        first_only = pooler in ("cls", "cls_before_pooler")
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
            if normalize:
                vectors = unit(graph, vectors)
        graph.rename(vectors, "sentence_embedding")
        return graph.model(self.layout.inputs(), output(self.architecture.hidden), opset=self.dialect.opset)

    def embeddings(self) -> str:
        graph = self.graph
        names = "embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight"
        # Every token is of type 0, so that type's row goes into the position table.
        words, positions = (self.weights[name] for name in names)
        types = self.weights.get(TOKEN_TYPES)
        positions = positions if types is None else positions + types[0]
        word = self.dialect.embedding(graph, self.layout.ids, names[0], words)
        rows = self.layout.positions or self.layout.each(self.positions, INT64)
        position = self.dialect.embedding(graph, rows, names[1], positions)
        return self.add_norm(word, position, "embeddings.LayerNorm")

    def positions(self, view: View) -> str:
        """int64 [tokens], each token's row of the position table."""
        graph = view.graph
        ids = view.grid(self.layout.ids)
        if self.architecture.family == "bert":
            ones = graph.op("ConstantOfShape", graph.op("Shape", ids), value=_ONE)
            return view.flat(graph.op("CumSum", ones, graph.scalar(view.axis), exclusive=1))
        # RoBERTa counts from padding_id + 1, and a padding token typed into a text keeps padding_id itself.
        padding = graph.ints(self.architecture.padding_id)
        real = graph.op("Cast", graph.op("Not", graph.op("Equal", ids, padding)), to=INT64)
        counted = graph.op("Mul", graph.op("CumSum", real, graph.scalar(view.axis)), real)
        return view.flat(graph.op("Add", counted, padding))

    def layer(self, x: str, name: str, *, first_only: bool) -> str:
        """One transformer layer; with ``first_only`` its output is [sentences, hidden], the first tokens' alone.

        Nothing looks at the other tokens' output then, so their queries, projections and feed-forward are left out;
        their keys and values are not.
        """
        key, value = (self.linear(x, f"{name}.attention.self.{part}") for part in ("key", "value"))
        firsts = self.layout.first_tokens(x) if first_only else x
        query = self.linear(firsts if self.layout.queries_alone else x, f"{name}.attention.self.query")
        size = Heads(count=self.architecture.heads, hidden=self.architecture.hidden, first_only=first_only)
        y = self.dialect.attention(self.layout, query, key, value, size)
        x = self.add_norm(y, firsts, f"{name}.attention.output.LayerNorm", after=f"{name}.attention.output.dense")
        up = self.weights_of(f"{name}.intermediate.dense")
        y = self.dialect.activated(self.graph, x, up, self.architecture.activation)
        return self.add_norm(y, x, f"{name}.output.LayerNorm", after=f"{name}.output.dense")

    def linear(self, x: str, name: str) -> str:
        return self.dialect.linear(self.graph, x, self.weights_of(name))

    def add_norm(self, x: str, skip: str, name: str, *, after: str | None = None) -> str:
        gamma, beta = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        norm = Norm(name=name, gamma=gamma, beta=beta, epsilon=self.architecture.epsilon)
        return self.dialect.add_norm(self.graph, x, skip, norm, after=self.weights_of(after) if after else None)

    def weights_of(self, name: str) -> Linear:
        return Linear(name=name, weight=self.weights[f"{name}.weight"], bias=self.weights[f"{name}.bias"])
