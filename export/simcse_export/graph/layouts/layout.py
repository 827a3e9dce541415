"""What a layout is: how a run's sentences lie in the graph's inputs, and the grid on which attention sees them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import onnx
from onnx import helper

from ..nodes import FLOAT, Graph

# Where a slice to the end ends.
END = (1 << 63) - 1


class View:
    """The grid of a run: how rows get there and back. This one is for tensors that lie on the grid already.

    Attributes:
        graph: the graph, or the branch of it, that its nodes go into.
        axis: the grid's axis of a sentence's tokens, 0 or 1; the other one is that of sentences.
        mask: int32, 1 where there is a token; "" (an absent input) where there is no padding.
        keeps_padding: whether `flat` leaves the padding in.
    """

    keeps_padding = False

    def __init__(self, graph: Graph, *, axis: int = 1, mask: str = "") -> None:
        self.graph = graph
        self.axis = axis
        self.mask = mask

    def grid(self, flat: str, *trailing: int) -> str:  # noqa: ARG002 - other views reshape
        """[tokens, *trailing] → the grid."""
        return flat

    def flat(self, grid: str, *trailing: int) -> str:  # noqa: ARG002 - other views reshape
        """The grid → [tokens, *trailing], without padding unless the view keeps it."""
        return grid

    def places(self, grid: str) -> str:  # noqa: ARG002 - other views measure it
        """float32, of rank 2: each token's place in its sentence, from 1; its shape broadcasts to that of ``grid``."""
        return self.graph.op("CumSum", self.graph.op("Cast", self.mask, to=FLOAT), self.graph.scalar(self.axis))


class Layout(ABC):
    """The layout of one run.

    Attributes:
        name: one of `simcse_engine.artifact.kinds.LAYOUTS`.
        axes: the graph's inputs, each with its axes; see `simcse_engine.session.feeds`.
        integers: the type of the inputs.
        graph: the graph that its inputs belong to.
        ids: int64 or int32 [tokens], in the order of the graph's rows.
        positions: each token's row of the position table, where that is an input; "" where the graph computes it.
        takes_first_queries: whether attention takes queries of the first tokens alone.
    """

    name: str
    axes: Mapping[str, Sequence[str]]
    integers: int
    positions = ""
    takes_first_queries = True

    def __init__(self, graph: Graph, ids: str = "input_ids") -> None:
        """The layout of what is written into ``graph``, where the tokens' input is named ``ids``."""
        self.graph = graph
        self._ids = ids

    @cached_property
    def ids(self) -> str:
        return self._ids

    def inputs(self) -> Sequence[onnx.ValueInfoProto]:
        """The graph's inputs."""
        return [helper.make_tensor_value_info(name, self.integers, axes) for name, axes in self.axes.items()]

    @abstractmethod
    def first_tokens(self, states: str) -> str:
        """[tokens, hidden] → [sentences, hidden], each sentence's first token."""

    @abstractmethod
    def last_tokens(self, states: str) -> str:
        """[tokens, hidden] → [sentences, hidden], each sentence's last token."""

    @property
    @abstractmethod
    def longest(self) -> str:
        """int64 [1], tokens of the longest sentence."""

    def tokens_at(self, states: str, place: str) -> str:  # noqa: ARG002 - not every layout does
        """[tokens, hidden] → [sentences, hidden], each sentence's token at ``place``, int64 [1], or its first.

        The first is that of a sentence that has no token there.
        """
        raise TypeError(f"the {self.name} layout finds no token by its place")

    def lengths(self) -> str:
        """float32 [sentences, 1], each sentence's count of tokens."""
        raise TypeError(f"the {self.name} layout has no lengths")

    def on_grid(self, write: Callable[[View], str], dtype: int = FLOAT) -> str:  # noqa: ARG002 - not every layout has one
        """Write a part of the graph that needs the grid."""
        raise TypeError(f"the {self.name} layout has no grid")
