"""The ends of every graph: one vector of a sentence's states, the tail, a cut, and the L2 norm.

SimCSE's poolers are those of its ``evaluation.py``, the others those of sentence-transformers' ``Pooling``.
"""

from collections.abc import Sequence

import numpy as np

from ..tail.norm import unit
from ..tail.part import Part
from .layouts.layout import Layout, View
from .nodes import BOOL, FLOAT, Graph

# The poolers that read a sentence's first token alone.
FIRST_TOKEN = ("cls", "cls_before_pooler")

# Which of transformers' ``hidden_states`` a pooler averages over: the first is the embeddings', the last the last
# layer's. ``hidden_states[1]`` is the first layer's output, as SimCSE has it since 2024.
AVERAGED = {"avg": (-1,), "avg_top2": (-2, -1), "avg_first_last": (1, -1)}


def joined(layout: Layout, x: str, pooler: str, hidden: int, skipped: str = "") -> str:
    """What a pooler of all tokens makes of float32 ``x`` [tokens, hidden]: [sentences, hidden].

    ``skipped``, int64 [1] unless it is "", is how many first tokens of each sentence are left out.
    """
    graph = layout.graph
    if pooler == "lasttoken":
        return layout.last_tokens(x)
    if pooler == "max":
        return layout.on_grid(lambda view: _largest(view, x, hidden, skipped))
    by_place = pooler == "weightedmean"
    total = layout.on_grid(lambda view: _total(view, x, hidden, skipped, by_place=by_place))
    count = _sum_of_weights(graph, layout.lengths(), by_place=by_place)
    if skipped:
        left_out = _sum_of_weights(graph, graph.op("Cast", skipped, to=FLOAT), by_place=by_place)
        # As the library has it where nothing is left.
        least = graph.weight("least count", np.array(1e-9, np.float32))
        count = graph.op("Max", graph.op("Sub", count, left_out), least)
    return graph.op("Div", total, graph.op("Sqrt", count) if pooler == "mean_sqrt_len" else count)


def _sum_of_weights(graph: Graph, count: str, *, by_place: bool) -> str:
    """That of so many tokens: their number, or with ``by_place`` the sum of 1, 2, 3 …"""
    if not by_place:
        return count
    one, half = (graph.weight(name, np.array(n, np.float32)) for name, n in (("one", 1), ("one half", 0.5)))
    return graph.op("Mul", graph.op("Mul", count, graph.op("Add", count, one)), half)


def _total(view: View, x: str, hidden: int, skipped: str, *, by_place: bool) -> str:
    """The sum of each sentence's rows; with ``by_place``, each times its place, counted from 1."""
    graph = view.graph
    grid = view.grid(x, hidden)
    weights = _kept(view, grid, skipped)
    if by_place:
        places = view.places(grid)
        weights = graph.op("Mul", places, weights) if weights else places
    if weights:
        grid = graph.op("Mul", grid, graph.op("Unsqueeze", weights, graph.ints(-1)))
    return graph.op("ReduceSum", grid, graph.ints(view.axis), keepdims=0)


def _largest(view: View, x: str, hidden: int, skipped: str) -> str:
    graph = view.graph
    grid = view.grid(x, hidden)
    kept = _kept(view, grid, skipped)
    if kept:
        mask = graph.op("Unsqueeze", graph.op("Cast", kept, to=BOOL), graph.ints(-1))
        least = graph.weight("least float", np.array(np.finfo(np.float32).min, np.float32))
        grid = graph.op("Where", mask, grid, least)
    return graph.largest(grid, view.axis)


def _kept(view: View, grid: str, skipped: str) -> str:
    """float32, of rank 2: 1 for each token that counts, 0 for padding and skipped ones; "" where all count."""
    graph = view.graph
    mask = graph.op("Cast", view.mask, to=FLOAT) if view.mask else ""
    if not skipped:
        return mask
    later = graph.op("Greater", view.places(grid), graph.op("Cast", skipped, to=FLOAT))
    later = graph.op("Cast", later, to=FLOAT)
    return graph.op("Mul", mask, later) if mask else later


def mean_of(graph: Graph, states: Sequence[str]) -> str:
    """The mean of one or two tensors of one shape."""
    if len(states) == 1:
        return states[0]
    return graph.op("Mul", graph.op("Add", *states), graph.weight("one half", np.array(0.5, np.float32)))


def first_floats(graph: Graph, vectors: str, count: int) -> str:
    """[sentences, hidden] → [sentences, count], as vectors of Matryoshka models are cut (arXiv:2205.13147)."""
    return graph.op("Slice", vectors, graph.ints(0), graph.ints(count), graph.ints(1))


def finished(graph: Graph, vectors: str, tail: Sequence[Part], truncate_dim: int | None, *, normalize: bool) -> str:
    """Pooled vectors through the tail, cut to ``truncate_dim`` floats unless it is None, and to unit length if so."""
    for i, part in enumerate(tail):
        with graph.scope(f"tail.{i}"):
            vectors = part.write(graph, vectors, f"tail.{i}")
    if truncate_dim is not None:
        vectors = first_floats(graph, vectors, truncate_dim)
    return unit(graph, vectors) if normalize else vectors
