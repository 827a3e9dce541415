"""The even layout: sentences of one length, laid out position by position.

The graph's inputs are those of every graph, sentences end to end, and the runner sees to it that their lengths are
equal. Inside, all first tokens come first, then all second ones: a sentence's tokens are a fixed stride apart. So the
runtime's matrix product can walk the heads of all sentences where they lie, without the transposes that attention
takes on any other layout (``benchmarks/choices/spellings.py`` compares), and the first tokens, which
the CLS poolers want, are simply the first rows.

There is one path and no mask, so a sentence's activations are the same to the last bit in any company. A graph that
rounds them to integers needs that: where a masked kernel is off by one unit in the last place, some activation next to
a rounding boundary falls to the other side, and the vector moves by far more than 1e-6.
"""

from collections.abc import Callable, Sequence

import onnx

from ..nodes import FLOAT, Graph
from .ragged import counted, end_to_end


class EvenView:
    """The grid [longest, sentences], a mere reshape of the flat rows; see `View`."""

    axis = 0
    mask = ""

    def __init__(self, graph: Graph, shape: str) -> None:
        self.graph = graph
        self._shape = shape

    def grid(self, flat: str, *trailing: int) -> str:
        """[tokens, *trailing] → [longest, sentences, *trailing]."""
        shape = self._shape
        if trailing:
            shape = self.graph.op("Concat", shape, self.graph.ints(*trailing), axis=0)
        return self.graph.op("Reshape", flat, shape)

    def flat(self, grid: str, *trailing: int) -> str:
        """[longest, sentences, *trailing] → [tokens, *trailing]."""
        return self.graph.op("Reshape", grid, self.graph.ints(-1, *trailing))


class Even:
    """The layout of one run.

    Attributes:
        ids: int64 [tokens], position by position.
        length: int64 [1], every sentence's count of tokens.
    """

    name = "even"
    positions = ""
    queries_alone = True

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        with graph.scope("layout"):
            self._sentences = graph.op("Shape", "lengths")
            self.length = graph.op("ReduceMax", "lengths", keepdims=1)
            # A run of several lengths is refused by this reshape, unless they happen to fill the grid.
            by_sentence = graph.op("Reshape", "input_ids", graph.op("Concat", self._sentences, self.length, axis=0))
            self.ids = graph.op("Reshape", graph.op("Transpose", by_sentence, perm=[1, 0]), graph.ints(-1))
            self._shape = graph.op("Concat", self.length, self._sentences, axis=0)

    def inputs(self) -> Sequence[onnx.ValueInfoProto]:
        """See `Layout`."""
        return end_to_end()

    def lengths(self) -> str:
        """See `Layout`."""
        return counted(self.graph)

    def first_tokens(self, states: str) -> str:
        """[tokens, hidden] → [sentences, hidden], each sentence's first token."""
        return self.graph.op("Slice", states, self.graph.ints(0), self._sentences, self.graph.ints(0))

    def each(self, write: Callable[[EvenView], str], dtype: int = FLOAT) -> str:  # noqa: ARG002 - Ragged's needs it
        """Write a part of the graph that needs the grid."""
        return write(EvenView(self.graph, self._shape))
