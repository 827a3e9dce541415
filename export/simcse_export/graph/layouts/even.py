"""The even layout: sentences of one length, laid out position by position.

The graph's inputs are sentences end to end, as in the ragged layout; the runner makes runs of one length. Inside, all
first tokens come first, then all second ones: a sentence's tokens are a fixed stride apart. So the runtime's matrix
product walks the heads of all sentences where they lie, without the transposes that attention takes on any other layout
(`docs/decisions/006-spellings.md`), and the first tokens, which the CLS poolers read, are simply the first rows.

There is one path and no mask, so a sentence's activations are the same to the last bit in any batch. A graph that
rounds them to integers needs that: where a masked kernel is off by one unit in the last place, an activation next to a
rounding boundary falls to the other side, and the vector moves by far more than 1e-6.
"""

from collections.abc import Callable
from functools import cached_property

from ..nodes import FLOAT
from .end_to_end import EndToEnd, ReshapedView
from .layout import END, View


class Even(EndToEnd):
    """The layout of one run; its nodes are written where the first part of the graph needs them.

    Attributes:
        ids: int64 [tokens], position by position.
        longest: int64 [1], every sentence's count of tokens.
    """

    name = "even"

    @cached_property
    def longest(self) -> str:
        return self.graph.op("ReduceMax", "lengths", keepdims=1)

    @cached_property
    def ids(self) -> str:
        graph = self.graph
        # A run of several lengths is refused by this reshape, unless they happen to fill the grid.
        by_sentence = graph.op("Reshape", self._ids, graph.op("Concat", self._sentences, self.longest, axis=0))
        return graph.op("Reshape", graph.op("Transpose", by_sentence, perm=[1, 0]), graph.ints(-1))

    @cached_property
    def _sentences(self) -> str:
        return self.graph.op("Shape", "lengths")

    @cached_property
    def _shape(self) -> str:
        return self.graph.op("Concat", self.longest, self._sentences, axis=0)

    def first_tokens(self, states: str) -> str:
        return self.graph.op("Slice", states, self.graph.ints(0), self._sentences, self.graph.ints(0))

    def tokens_at(self, states: str, place: str) -> str:
        graph = self.graph
        reached = graph.op("Where", graph.op("Greater", self.longest, place), place, graph.ints(0))
        start = graph.op("Mul", reached, self._sentences)
        return graph.op("Slice", states, start, graph.op("Add", start, self._sentences), graph.ints(0))

    def last_tokens(self, states: str) -> str:
        graph = self.graph
        return graph.op("Slice", states, graph.op("Neg", self._sentences), graph.ints(END), graph.ints(0))

    def on_grid(self, write: Callable[[View], str], dtype: int = FLOAT) -> str:  # noqa: ARG002 - see `Layout`
        return write(ReshapedView(self.graph, self._shape, axis=0))
