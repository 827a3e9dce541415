"""What a layout is: how the sentences of a run lie in the graph's inputs, and the grid that attention sees them on."""

from collections.abc import Callable, Sequence
from typing import Protocol

import onnx

from ..nodes import FLOAT, Graph


class View(Protocol):
    """The grid of a run: how rows get there and back.

    Attributes:
        graph: where its nodes go.
        axis: the grid's axis that runs over a sentence's tokens; the other one of the first two is the sentence's.
        mask: int32, 1 where there is a token; "" (an absent input) where there is no padding.
    """

    graph: Graph
    axis: int

    @property
    def mask(self) -> str: ...  # noqa: D102

    def grid(self, flat: str, *trailing: int) -> str:
        """[tokens, *trailing] → the grid."""

    def flat(self, grid: str, *trailing: int) -> str:
        """The grid → [tokens, *trailing], without padding."""


class Layout(Protocol):
    """The layout of one run.

    Attributes:
        name: one of `simcse_engine.artifact.kinds.LAYOUTS`.
        graph: the graph whose inputs they are.
        ids: int64 or int32 [tokens].
        positions: each token's row of the position table, where that is an input; "" where the graph computes it.
        queries_alone: whether attention can take queries of the first tokens alone.
    """

    name: str
    graph: Graph
    ids: str
    positions: str
    queries_alone: bool

    def inputs(self) -> Sequence[onnx.ValueInfoProto]:
        """What the graph asks for, see `simcse_engine.session.feeds`."""

    def first_tokens(self, states: str) -> str:
        """[tokens, hidden] → [sentences, hidden], each sentence's first token."""

    def lengths(self) -> str:
        """float32 [sentences, 1], each sentence's count of tokens."""

    def each(self, write: Callable[[View], str], dtype: int = FLOAT) -> str:
        """Write a part of the graph that needs the grid."""


def mean(layout: Layout, x: str, hidden: int) -> str:
    """Each sentence's average over its tokens: [tokens, hidden] → [sentences, hidden], in float32."""

    def total(view: View) -> str:
        inner = view.graph
        grid = view.grid(x, hidden)
        if view.mask:
            mask = inner.op("Unsqueeze", inner.op("Cast", view.mask, to=FLOAT), inner.ints(2))
            grid = inner.op("Mul", grid, mask)
        return inner.op("ReduceSum", grid, inner.ints(view.axis), keepdims=0)

    lengths = layout.lengths()
    return layout.graph.op("Div", layout.each(total), lengths)
