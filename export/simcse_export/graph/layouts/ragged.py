"""The ragged layout: sentences laid end to end, and the grid that attention and pooling see them on.

The graph's inputs are ``input_ids`` [tokens] and ``lengths`` [sentences]. Layers that treat each token by itself work
on the flat [tokens, hidden]: no padding is ever multiplied. What looks across a sentence's tokens needs a grid
[sentences, longest]. Where all lengths are equal the grid is a mere reshape without a mask, which the runtime's fastest
attention needs; where they differ, rows are gathered onto the grid and back. The graph decides between the two by
itself, so one graph (and one copy of the weights) is at its best for both.

What the alternatives cost, one sentence at a time or padded: `docs/decisions/015-small-calls.md`.
"""

from collections.abc import Callable
from functools import cached_property

from ..nodes import FLOAT, INT32, Graph
from .end_to_end import EndToEnd, ReshapedView
from .layout import View


class GatheredView(View):
    """The grid [sentences, longest] of sentences of mixed lengths, gathered from the flat rows; see `View`."""

    def __init__(self, graph: Graph, longest: str) -> None:
        """Compute the places of tokens, in the graph or branch that needs them; ``longest`` is int64 [1]."""
        column, zero = graph.op("Unsqueeze", "lengths", graph.ints(1)), graph.scalar(0)
        self._places = graph.op("Range", zero, graph.op("Squeeze", longest, graph.ints(0)), graph.scalar(1))
        self._filled = graph.op("Less", self._places, column)
        super().__init__(graph, mask=graph.op("Cast", self._filled, to=INT32))

    def grid(self, flat: str, *trailing: int) -> str:  # noqa: ARG002 - see `View`
        """See `View`; padding holds some token's row."""
        return self.graph.op("Gather", flat, self._slots)

    def flat(self, grid: str, *trailing: int) -> str:
        rows = self.graph.op("Reshape", grid, self.graph.ints(-1, *trailing))
        return self.graph.op("Gather", rows, self._cells)

    @cached_property
    def _slots(self) -> str:
        """int64 [sentences, longest], the token of each cell of the grid."""
        graph = self.graph
        starts = graph.op("CumSum", "lengths", graph.scalar(0), exclusive=1)
        slots = graph.op("Add", graph.op("Unsqueeze", starts, graph.ints(1)), self._places)
        # Padding must point at a token that exists; the mask keeps it out of every result.
        return graph.op("Where", self._filled, slots, graph.ints(0))

    @cached_property
    def _cells(self) -> str:
        """int64 [tokens], each token's cell of the flattened grid."""
        graph = self.graph
        cells = graph.op("NonZero", graph.op("Reshape", self._filled, graph.ints(-1)))
        return graph.op("Reshape", cells, graph.ints(-1))


class Ragged(EndToEnd):
    """The layout of one run; its nodes are written where the first part of the graph needs them."""

    name = "ragged"

    @cached_property
    def longest(self) -> str:
        return self.graph.op("ReduceMax", "lengths", keepdims=1)

    @cached_property
    def _all_equal(self) -> str:
        """bool [1]."""
        return self.graph.op("Equal", self.longest, self.graph.op("ReduceMin", "lengths", keepdims=1))

    def first_tokens(self, states: str) -> str:
        graph = self.graph
        return graph.op("Gather", states, graph.op("CumSum", "lengths", graph.scalar(0), exclusive=1))

    def tokens_at(self, states: str, place: str) -> str:
        graph = self.graph
        starts = graph.op("CumSum", "lengths", graph.scalar(0), exclusive=1)
        reached = graph.op("Where", graph.op("Greater", "lengths", place), place, graph.ints(0))
        return graph.op("Gather", states, graph.op("Add", starts, reached))

    def last_tokens(self, states: str) -> str:
        graph = self.graph
        ends = graph.op("CumSum", "lengths", graph.scalar(0))
        return graph.op("Gather", states, graph.op("Sub", ends, graph.ints(1)))

    def on_grid(self, write: Callable[[View], str], dtype: int = FLOAT) -> str:
        """Write a part of the graph that needs the grid, once for equal lengths and once for mixed ones."""

        def by_shape(graph: Graph) -> list[str]:
            return [write(ReshapedView(graph, graph.op("Concat", graph.ints(-1), self.longest, axis=0), axis=1))]

        def gathered(graph: Graph) -> list[str]:
            return [write(GatheredView(graph, self.longest))]

        return self.graph.branch(self._all_equal, by_shape, gathered, [dtype])[0]
