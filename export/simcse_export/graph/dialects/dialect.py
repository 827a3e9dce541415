"""What a dialect is: how a target spells the parts of the model. `graph.bert` says what the model is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..layouts.layout import Layout
from ..nodes import Graph

Array = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Heads:
    """The shape of one layer's attention.

    Attributes:
        count: how many heads share ``hidden``.
        hidden: width of queries, keys, values and result.
        first_only: whether there are queries for the sentences' first tokens alone.
    """

    count: int
    hidden: int
    first_only: bool


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


class Dialect(Protocol):
    """What every target spells; tensors are [tokens, features] unless stated otherwise.

    Attributes:
        layout: how a run's tokens lie.
        opset: the version of ONNX's operators.
    """

    layout: type[Layout]
    opset: int

    def embedding(self, graph: Graph, rows: str, name: str, table: Array) -> str:
        """The ``rows`` of ``table`` [entries, hidden]."""

    def linear(self, graph: Graph, x: str, layer: Linear) -> str:
        """X · weightᵀ + bias."""

    def activated(self, graph: Graph, x: str, layer: Linear, function: str) -> str:
        """The linear layer, then this function, a value of `simcse_export.checkpoint.architecture.ACTIVATIONS`."""

    def add_norm(self, graph: Graph, x: str, skip: str, norm: Norm, *, after: Linear | None = None) -> str:
        """The norm of x + ``skip``; with ``after``, of ``skip`` and what that linear layer makes of x."""

    def attention(self, layout: Layout, query: str, key: str, value: str, heads: Heads) -> str:
        """Softmax(Q Kᵀ / √d) V per sentence and head; with ``heads.first_only``, of the first tokens' queries."""

    def mean(self, layout: Layout, states: Sequence[str], hidden: int) -> str:
        """Each sentence's average, over its tokens, of one or two tensors: float32 [sentences, hidden]."""

    def vectors(self, graph: Graph, x: str) -> str:
        """``x`` in float32, the type of every artifact's vectors."""
