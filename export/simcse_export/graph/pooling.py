"""The ends of every graph: the states that poolers average (SimCSE's ``evaluation.py``), and the L2 norm."""

from collections.abc import Sequence

import numpy as np

from .nodes import Graph

# Which of transformers' ``hidden_states`` a pooler averages over: the first is the embeddings', the last the last
# layer's. ``hidden_states[1]`` is the first layer's output, as SimCSE has it since 2024.
AVERAGED = {"avg": (-1,), "avg_top2": (-2, -1), "avg_first_last": (1, -1)}

# torch.nn.functional.normalize divides by at least this much, so that a zero vector stays zero.
_LEAST_NORM = 1e-12


def mean_of(graph: Graph, states: Sequence[str]) -> str:
    """The mean of one or two tensors of one shape."""
    if len(states) == 1:
        return states[0]
    return graph.op("Mul", graph.op("Add", *states), graph.weight("one half", np.array(0.5, np.float32)))


def first_floats(graph: Graph, vectors: str, count: int) -> str:
    """[sentences, hidden] → [sentences, count], as vectors of Matryoshka models are cut (arXiv:2205.13147)."""
    return graph.op("Slice", vectors, graph.ints(0), graph.ints(count), graph.ints(1))


def unit(graph: Graph, vectors: str) -> str:
    """Scale [sentences, hidden] to unit length; a zero vector stays zero."""
    # Not ReduceL2, which takes its axes as an attribute or as an input, depending on the opset.
    squares = graph.op("ReduceSum", graph.op("Mul", vectors, vectors), graph.ints(1), keepdims=1)
    norm = graph.op("Sqrt", squares)
    least = graph.weight("least norm", np.array(_LEAST_NORM, np.float32))
    return graph.op("Div", vectors, graph.op("Max", norm, least))
