"""The packed layout: sentences end to end, for fused attention that knows where each one begins.

No padding is multiplied anywhere, attention included, and the graph computes nothing about the layout itself: all that
depends on lengths comes as inputs, so shapes may be fixed (and captured as a CUDA graph) while lengths vary. Tokens
after the last sentence and sentences of no tokens at the end are allowed, and their results mean nothing.
"""

from collections.abc import Callable, Sequence

import onnx
from onnx import helper

from ..nodes import FLOAT, INT32, Graph
from .layout import View

TOKEN_OFFSET, CUMULATIVE_LENGTHS = "token_offset", "cumulative_lengths"


class Packed:
    """The layout of one run; see `Layout` and `simcse_engine.session.feeds.packed`."""

    name = "packed"
    ids = "input_ids"
    positions = "position_ids"
    takes_first_queries = False

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        with graph.scope("layout"):
            self._starts = graph.op("Slice", CUMULATIVE_LENGTHS, graph.ints(0), graph.ints(-1), graph.ints(0))

    def inputs(self) -> Sequence[onnx.ValueInfoProto]:
        """See `Layout`."""
        shapes: dict[str, list[str]] = {
            "input_ids": ["tokens"],
            "position_ids": ["tokens"],
            CUMULATIVE_LENGTHS: ["boundaries"],
            TOKEN_OFFSET: ["sentences", "longest"],
        }
        return [helper.make_tensor_value_info(name, INT32, shape) for name, shape in shapes.items()]

    def first_tokens(self, states: str) -> str:
        """See `Layout`."""
        return self.graph.op("Gather", states, self._starts)

    def lengths(self) -> str:
        """See `Layout`; attention averages here."""
        raise TypeError("the packed layout has no lengths, its dialect averages by itself")

    def on_grid(self, write: Callable[[View], str], dtype: int = FLOAT) -> str:  # noqa: ARG002 - see `Layout`
        """See `Layout`; there is no grid."""
        raise TypeError("the packed layout has no grid, its dialect spells what looks across tokens")
