"""The poolers that average (SimCSE's ``evaluation.py``), and the L2 norm; authored and optimum's graphs end in them."""

from collections.abc import Sequence

import numpy as np

from .dialect import Layout
from .even import EvenView
from .nodes import FLOAT, Graph
from .ragged import View

# torch.nn.functional.normalize divides by at least this much, so that a zero vector stays zero.
_LEAST_NORM = 1e-12


def pool(layout: Layout, states: Sequence[str], pooler: str, hidden: int) -> str:
    """Average over each sentence's tokens: [sentences, hidden].

    Args:
        layout: the run's layout.
        states: [tokens, hidden] after the embeddings and after each layer, as transformers' ``hidden_states``.
        pooler: "avg" (the last layer), "avg_top2" (the mean of the last two) or "avg_first_last" (of the first
            layer's output and the last; ``hidden_states[1]``, as SimCSE has it since 2024).
        hidden: the states' width.
    """
    graph = layout.graph
    other = {"avg": None, "avg_top2": states[-2], "avg_first_last": states[1]}[pooler]
    x = states[-1]
    if other is not None:
        x = graph.op("Mul", graph.op("Add", other, x), graph.weight("one half", np.array(0.5, np.float32)))

    def total(view: View | EvenView) -> str:
        inner = view.graph
        grid = view.grid(x, hidden)
        if view.mask:
            mask = inner.op("Unsqueeze", inner.op("Cast", view.mask, to=FLOAT), inner.ints(2))
            grid = inner.op("Mul", grid, mask)
        return inner.op("ReduceSum", grid, inner.ints(view.axis), keepdims=0)

    lengths = graph.op("Unsqueeze", graph.op("Cast", "lengths", to=FLOAT), graph.ints(1))
    return graph.op("Div", layout.each(total), lengths)


def unit(graph: Graph, vectors: str) -> str:
    """Scale [sentences, hidden] to unit length; a zero vector stays zero."""
    norm = graph.op("ReduceL2", vectors, axes=[1], keepdims=1)
    least = graph.weight("least norm", np.array(_LEAST_NORM, np.float32))
    return graph.op("Div", vectors, graph.op("Max", norm, least))
