"""Unit length: the norm that ends every graph, and the same between two parts of a tail."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .part import Part, Vectors

if TYPE_CHECKING:
    from ..graph.nodes import Graph

# torch.nn.functional.normalize divides by at least this much, so that a zero vector stays zero.
_LEAST_NORM = 1e-12


def unit(graph: "Graph", vectors: str) -> str:
    """Scale [sentences, dimension] to unit length; a zero vector stays zero."""
    # Not ReduceL2, which takes its axes as an attribute or as an input, depending on the opset.
    squares = graph.op("ReduceSum", graph.op("Mul", vectors, vectors), graph.ints(1), keepdims=1)
    norm = graph.op("Sqrt", squares)
    least = graph.weight("least norm", np.array(_LEAST_NORM, np.float32))
    return graph.op("Div", vectors, graph.op("Max", norm, least))


class Unit(Part):
    """Normalize of sentence-transformers, where another part follows it."""

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension

    def reference(self, vectors: Vectors) -> Vectors:
        result: Vectors = torch.nn.functional.normalize(torch.from_numpy(vectors), dim=1).numpy()
        return result

    def write(self, graph: "Graph", vectors: str, name: str) -> str:  # noqa: ARG002 - it has no constants of its own
        return unit(graph, vectors)

    def facts(self) -> dict[str, Any]:
        return {"kind": "unit"}
