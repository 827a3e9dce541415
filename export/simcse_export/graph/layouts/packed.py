"""The packed layout: sentences end to end, for fused attention that knows where each one begins.

No padding is multiplied anywhere, attention included, and the graph computes nothing about the layout itself: all that
depends on lengths comes as inputs, so shapes may be fixed (and captured as a CUDA graph) while lengths vary. Tokens
after the last sentence and sentences of no tokens at the end are allowed, and their results mean nothing.
"""

from functools import cached_property
from typing import ClassVar

import numpy as np

from ..nodes import FLOAT, INT32, Graph
from .layout import END, Layout

TOKEN_OFFSET, CUMULATIVE_LENGTHS = "token_offset", "cumulative_lengths"


class Packed(Layout):
    """The layout of one run; see `simcse_engine.session.feeds.packed`.

    It has no grid: its dialect spells what looks across tokens, and averages by attention.
    """

    name = "packed"
    axes: ClassVar = {
        "input_ids": ["tokens"],
        "position_ids": ["tokens"],
        CUMULATIVE_LENGTHS: ["boundaries"],
        TOKEN_OFFSET: ["sentences", "longest"],
    }
    integers = INT32
    positions = "position_ids"
    takes_first_queries = False

    def __init__(self, graph: Graph, ids: str = "input_ids") -> None:
        super().__init__(graph, ids)
        with graph.scope("layout"):
            self._starts = graph.op("Slice", CUMULATIVE_LENGTHS, graph.ints(0), graph.ints(-1), graph.ints(0))

    @cached_property
    def _ends(self) -> str:
        graph = self.graph
        return graph.op("Slice", CUMULATIVE_LENGTHS, graph.ints(1), graph.ints(END), graph.ints(0))

    @cached_property
    def longest(self) -> str:
        return self.graph.op("Shape", TOKEN_OFFSET, start=1, end=2)

    def first_tokens(self, states: str) -> str:
        return self.graph.op("Gather", states, self._starts)

    def last_tokens(self, states: str) -> str:
        graph = self.graph
        one = graph.weight("int32 1", np.array(1, np.int32))
        return graph.op("Gather", states, graph.op("Sub", self._ends, one))

    def lengths(self) -> str:
        graph = self.graph
        counts = graph.op("Sub", self._ends, self._starts)
        return graph.op("Unsqueeze", graph.op("Cast", counts, to=FLOAT), graph.ints(1))
