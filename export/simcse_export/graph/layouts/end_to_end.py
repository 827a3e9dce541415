"""What the ragged and the even layout share: sentences end to end, and the grid of sentences of one length."""

from typing import ClassVar

from ..nodes import FLOAT, INT64, Graph
from .layout import Layout, View


class EndToEnd(Layout):
    """The parts of a `Layout` whose inputs are ``input_ids`` [tokens] and ``lengths`` [sentences]."""

    axes: ClassVar = {"input_ids": ["tokens"], "lengths": ["sentences"]}
    integers = INT64

    def lengths(self) -> str:
        return self.graph.op("Unsqueeze", self.graph.op("Cast", "lengths", to=FLOAT), self.graph.ints(1))


class ReshapedView(View):
    """A grid that is a mere reshape of the flat rows, whose padding, if there is any, is among these; see `View`."""

    def __init__(self, graph: Graph, shape: str, *, axis: int, mask: str = "") -> None:
        """Lay rows out on ``shape``, int64 [2]."""
        super().__init__(graph, axis=axis, mask=mask)
        self.keeps_padding = bool(mask)
        self._shapes: dict[tuple[int, ...], str] = {(): shape}

    def grid(self, flat: str, *trailing: int) -> str:
        if trailing not in self._shapes:
            self._shapes[trailing] = self.graph.op("Concat", self._shapes[()], self.graph.ints(*trailing), axis=0)
        return self.graph.op("Reshape", flat, self._shapes[trailing])

    def flat(self, grid: str, *trailing: int) -> str:
        return self.graph.op("Reshape", grid, self.graph.ints(-1, *trailing))

    def places(self, grid: str) -> str:
        if self.mask:
            return super().places(grid)
        graph = self.graph
        count = graph.op("Squeeze", graph.op("Shape", grid, start=self.axis, end=self.axis + 1), graph.ints(0))
        places = graph.op("Range", graph.scalar(1), graph.op("Add", count, graph.scalar(1)), graph.scalar(1))
        return graph.op("Unsqueeze", graph.op("Cast", places, to=FLOAT), graph.ints(1 - self.axis))
