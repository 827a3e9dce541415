"""The dialect of bfloat16 on CPUs: float32 whose weights are stored in half of the bytes."""

import numpy as np
from numpy.typing import NDArray

from simcse_engine.errors import CheckpointError

from ..nodes import FLOAT, Graph
from .dialect import Array, Dialect, Linear

_WORDS = "embeddings.word_embeddings.weight"
_LAYERS = "encoder.layer."


class CpuBf16(Dialect):
    """ONNX Runtime's CPU provider has no products of bfloat16, so what it runs is float32 with rounded weights.

    The layers' linear weights and the word table are bfloat16. Biases, norms, positions and the head, which are small,
    stay float32, as do all tensors in between.
    """

    def embedding(self, graph: Graph, rows: str, name: str, table: Array) -> str:
        if name != _WORDS:
            return super().embedding(graph, rows, name, table)
        return graph.op("Cast", graph.op("Gather", graph.bfloat16(name, rounded(name, table)), rows), to=FLOAT)

    def linear(self, graph: Graph, x: str, layer: Linear) -> str:
        if not layer.name.startswith(_LAYERS):
            return super().linear(graph, x, layer)
        name = f"{layer.name}.weight"
        weight = graph.op("Cast", graph.bfloat16(name, rounded(name, layer.weight.T)), to=FLOAT)
        return graph.op("Gemm", x, weight, graph.weight(f"{layer.name}.bias", layer.bias))


def rounded(name: str, array: Array) -> NDArray[np.uint16]:
    """The bits of the nearest bfloat16 values, of two equally near ones the even; refuses what becomes infinite."""
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    halves = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    if not np.isfinite(array).all() or np.any((halves & 0x7F80) == 0x7F80):  # rounded up to infinity
        raise CheckpointError(f"{name}: values that are no finite bfloat16; export this model in another precision")
    return halves
