"""The padded layout: the inputs that most graphs of sentence encoders have, for programs that expect those.

The graph's inputs are ``input_ids`` and ``attention_mask``, both [sentences, longest]. Inside, rows are flat,
[sentences · longest, features]; a grid is a mere reshape. Padding is multiplied along, and the mask alone says where it
is: at the right, at the left or between, of any ids. A bias of attention is by distance on the grid, as in
transformers, so that padding between tokens counts there. A sentence of no tokens gets a vector that means nothing, and
is finite.
"""

from collections.abc import Callable
from functools import cached_property
from typing import ClassVar

import numpy as np

from ..nodes import FLOAT, INT32, INT64
from .end_to_end import ReshapedView
from .layout import Layout, View

MASK = "attention_mask"
# The score of a hidden token: softmax leaves nothing of it, and a row of them alone stays finite.
_HIDDEN_SCORE = -1e4


class Padded(Layout):
    """The layout of one run; its nodes are written where the first part of the graph needs them."""

    name = "padded"
    axes: ClassVar = {name: ["sentences", "longest"] for name in ("input_ids", MASK)}
    integers = INT64

    @cached_property
    def ids(self) -> str:
        return self.graph.op("Reshape", self._ids, self.graph.ints(-1))

    @cached_property
    def hidden_scores(self) -> str:
        """What is added to scores: float32 [sentences, 1, 1, longest], 0 for tokens."""
        graph = self.graph
        one, score = (graph.weight(f"float32 {v:g}", np.array(v, np.float32)) for v in (1, -_HIDDEN_SCORE))
        mask = graph.op("Cast", MASK, to=FLOAT)
        return graph.op("Unsqueeze", graph.op("Mul", graph.op("Sub", mask, one), score), graph.ints(1, 2))

    @cached_property
    def longest(self) -> str:
        return self.graph.op("Shape", MASK, start=1, end=2)

    def first_tokens(self, states: str) -> str:
        return self.graph.op("Gather", states, self._places())

    def last_tokens(self, states: str) -> str:
        return self.graph.op("Gather", states, self._places(select_last_index=1))

    def lengths(self) -> str:
        graph = self.graph
        counts = graph.op("ReduceSum", MASK, graph.ints(1), keepdims=1)
        return graph.op("Cast", graph.op("Max", counts, graph.ints(1)), to=FLOAT)

    def on_grid(self, write: Callable[[View], str], dtype: int = FLOAT) -> str:  # noqa: ARG002 - see `Layout`
        return write(self._view)

    @cached_property
    def _shape(self) -> str:
        return self.graph.op("Shape", MASK)

    @cached_property
    def _mask(self) -> str:
        return self.graph.op("Cast", MASK, to=INT32)

    @cached_property
    def _view(self) -> ReshapedView:
        return ReshapedView(self.graph, self._shape, axis=1, mask=self._mask)

    def _places(self, **which: int) -> str:
        """int64 [sentences], the row of each sentence's first token, or of the last one as ``which`` says."""
        graph = self.graph
        cells = graph.op("ReduceProd", self._shape, keepdims=0)
        longest = graph.op("Gather", self._shape, graph.scalar(1))
        starts = graph.op("Range", graph.scalar(0), cells, longest)
        return graph.op("Add", starts, graph.op("ArgMax", self._mask, axis=1, keepdims=0, **which))
