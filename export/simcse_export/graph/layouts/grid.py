"""The grid layout: one row per sentence, padded at the right, for compilers of fixed shapes.

Tensors keep two leading axes, [sentences, longest, features]; shapes are never computed, so a compiler sees only
products, sums and reshapes. Only a bias of attention, of those models that have one, is cut to the longest.
"""

from collections.abc import Callable
from functools import cached_property
from typing import ClassVar

from ..nodes import FLOAT, INT32, INT64
from .layout import Layout, View

MASK = "attention_mask"


class Grid(Layout):
    """The layout of one run; see `simcse_engine.session.feeds.grid`."""

    name = "grid"
    axes: ClassVar = {name: ["sentences", "longest"] for name in ("input_ids", "position_ids", MASK)}
    integers = INT32
    positions = "position_ids"

    def first_tokens(self, states: str) -> str:
        """[sentences, longest, hidden] → [sentences, hidden]."""
        return self.graph.op("Gather", states, self.graph.scalar(0), axis=1)

    def last_tokens(self, states: str) -> str:
        graph = self.graph
        count = graph.op("ReduceSum", graph.op("Cast", MASK, to=INT64), graph.ints(1), keepdims=1)
        return graph.op("GatherND", states, graph.op("Sub", count, graph.ints(1)), batch_dims=1)

    @cached_property
    def longest(self) -> str:
        return self.graph.op("Shape", MASK, start=1, end=2)

    def lengths(self) -> str:
        return self.graph.op("ReduceSum", self.graph.op("Cast", MASK, to=FLOAT), self.graph.ints(1), keepdims=1)

    def on_grid(self, write: Callable[[View], str], dtype: int = FLOAT) -> str:  # noqa: ARG002 - see `Layout`
        return write(View(self.graph, mask=MASK))
