"""The ragged layout: sentences laid end to end, and the grid that attention and pooling see them on.

The graph's inputs are ``input_ids`` [tokens] and ``lengths`` [sentences]. Layers that treat each token by itself work
on the flat [tokens, hidden]: no padding is ever multiplied. What looks across a sentence's tokens needs a grid
[sentences, longest]. Where all lengths are equal the grid is a mere reshape without a mask, which the runtime's fastest
attention needs; where they differ, rows are gathered onto the grid and back. The graph decides between the two by
itself, so one graph (and one copy of the weights) is at its best for both.

What the alternatives cost, one sentence at a time or padded: `docs/decisions/015-small-calls.md`.
"""

from collections.abc import Callable

from ..nodes import FLOAT, INT32, INT64, Graph
from .end_to_end import EndToEnd, ReshapedView
from .layout import View


class GatheredView(View):
    """The grid [sentences, longest] of sentences of mixed lengths, gathered from the flat rows; see `View`."""

    def __init__(self, graph: Graph, layout: "Ragged") -> None:
        super().__init__(graph, mask=layout.mask)
        self._layout = layout

    def grid(self, flat: str, *trailing: int) -> str:  # noqa: ARG002 - see `View`
        """See `View`; padding holds some token's row."""
        return self.graph.op("Gather", flat, self._layout.slots)

    def flat(self, grid: str, *trailing: int) -> str:
        rows = self.graph.op("Reshape", grid, self.graph.ints(-1, *trailing))
        return self.graph.op("Gather", rows, self._layout.filled)


class Ragged(EndToEnd):
    """The layout of one run, computed from ``lengths`` by the graph's first nodes.

    Attributes:
        ids: int64 [tokens].
        starts: int64 [sentences], where each sentence begins among the tokens.
        shape: int64 [2], sentences and longest.
        slots: int64 [sentences, longest], the token of each cell of the grid (mixed lengths only).
        filled: int64 [tokens], each token's cell of the flattened grid (mixed lengths only).
        mask: int32 [sentences, longest] (mixed lengths only).
    """

    name = "ragged"

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        with graph.scope("layout"):
            self._longest = graph.op("ReduceMax", "lengths", keepdims=1)
            sentences = graph.op("Shape", "lengths")
            self.shape = graph.op("Concat", sentences, self._longest, axis=0)
            self.starts = graph.op("CumSum", "lengths", graph.scalar(0), exclusive=1)
            places, tokens = graph.op("Mul", sentences, self._longest), graph.op("Shape", "input_ids")
            self._all_equal = graph.op("Squeeze", graph.op("Equal", places, tokens), graph.ints(0))
            self.slots, self.filled, self.mask = graph.branch(
                self._all_equal, self._no_indices, self._indices, (INT64, INT64, INT32)
            )

    def _no_indices(self, graph: Graph) -> tuple[str, str, str]:
        empty = graph.ints()
        return empty, empty, graph.op("Cast", empty, to=INT32)

    def _indices(self, graph: Graph) -> tuple[str, str, str]:
        longest = graph.op("Squeeze", self._longest, graph.ints(0))
        place = graph.op("Range", graph.scalar(0), longest, graph.scalar(1))
        filled = graph.op("Less", place, graph.op("Unsqueeze", "lengths", graph.ints(1)))
        slots = graph.op("Add", graph.op("Unsqueeze", self.starts, graph.ints(1)), place)
        # Padding must point at a token that exists; the mask keeps it out of every result.
        slots = graph.op("Where", filled, slots, graph.ints(0))
        places = graph.op("NonZero", graph.op("Reshape", filled, graph.ints(-1)))
        return slots, graph.op("Reshape", places, graph.ints(-1)), graph.op("Cast", filled, to=INT32)

    def first_tokens(self, states: str) -> str:
        return self.graph.op("Gather", states, self.starts)

    def on_grid(self, write: Callable[[View], str], dtype: int = FLOAT) -> str:
        """Write a part of the graph that needs the grid, once for equal lengths and once for mixed ones."""
        return self.graph.branch(
            self._all_equal,
            lambda graph: [write(ReshapedView(graph, self.shape, axis=1))],
            lambda graph: [write(GatheredView(graph, self))],
            [dtype],
        )[0]
