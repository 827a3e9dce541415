"""The grid layout: one row per sentence, padded at the right, for compilers of fixed shapes.

Tensors keep two leading axes, [sentences, longest, features]; shapes are never computed, so a compiler sees only
products, sums and reshapes.
"""

from collections.abc import Callable, Sequence

import onnx
from onnx import helper

from ..nodes import FLOAT, INT32, Graph

MASK = "attention_mask"


class GridView:
    """The grid, on which all tensors lie already; see `View`."""

    axis = 1
    mask = MASK

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def grid(self, flat: str, *trailing: int) -> str:  # noqa: ARG002 - see `View`
        """See `View`."""
        return flat

    def flat(self, grid: str, *trailing: int) -> str:  # noqa: ARG002 - see `View`
        """See `View`."""
        return grid


class Grid:
    """The layout of one run; see `Layout` and `simcse_engine.session.feeds.grid`."""

    name = "grid"
    ids = "input_ids"
    positions = "position_ids"
    takes_first_queries = True

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def inputs(self) -> Sequence[onnx.ValueInfoProto]:
        """See `Layout`."""
        names = ("input_ids", "position_ids", MASK)
        return [helper.make_tensor_value_info(name, INT32, ["sentences", "longest"]) for name in names]

    def first_tokens(self, states: str) -> str:
        """See `Layout`: [sentences, longest, hidden] → [sentences, hidden]."""
        return self.graph.op("Gather", states, self.graph.scalar(0), axis=1)

    def lengths(self) -> str:
        """See `Layout`."""
        return self.graph.op("ReduceSum", self.graph.op("Cast", MASK, to=FLOAT), self.graph.ints(1), keepdims=1)

    def on_grid(self, write: Callable[[GridView], str], dtype: int = FLOAT) -> str:  # noqa: ARG002 - see `Layout`
        """See `Layout`."""
        return write(GridView(self.graph))
