"""Dense: a linear layer and its activation, sentence-transformers' module of that name."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .part import Part, Vectors

if TYPE_CHECKING:
    from ..graph.nodes import Graph

# Classes of torch.nn, made without arguments, which is how the library makes them.
ACTIVATIONS = ("Identity", "Tanh", "ReLU", "GELU", "Sigmoid", "SiLU")


class Dense(Part):
    """activation(x · weightᵀ + bias)."""

    def __init__(self, weight: Vectors, bias: Vectors | None, activation: str) -> None:
        """``weight`` is [out, in], ``bias`` [out]; ``activation`` is one of `ACTIVATIONS`."""
        self.dimension = len(weight)
        self._weight, self._bias, self._activation = weight, bias, activation

    @property
    def features_in(self) -> int:
        """Floats of the vectors that it takes."""
        return self._weight.shape[1]

    def reference(self, vectors: Vectors) -> Vectors:
        bias = None if self._bias is None else torch.from_numpy(self._bias)
        linear = torch.nn.functional.linear(torch.from_numpy(vectors), torch.from_numpy(self._weight), bias)
        result: Vectors = getattr(torch.nn, self._activation)()(linear).numpy()
        return result

    def write(self, graph: "Graph", vectors: str, name: str) -> str:
        y = graph.op("MatMul", vectors, graph.weight(f"{name}.weight", self._weight.T))
        if self._bias is not None:
            y = graph.op("Add", y, graph.weight(f"{name}.bias", self._bias))
        if self._activation == "Identity":
            return y
        if self._activation == "SiLU":
            return graph.op("Mul", y, graph.op("Sigmoid", y))
        if self._activation == "GELU":
            # An operator of its own from opset 20 on alone.
            root, one, half = (graph.weight(f"gelu {n:.9g}", np.array(n, np.float32)) for n in (0.5**0.5, 1.0, 0.5))
            inner = graph.op("Add", graph.op("Erf", graph.op("Mul", y, root)), one)
            return graph.op("Mul", graph.op("Mul", y, half), inner)
        return graph.op({"ReLU": "Relu"}.get(self._activation, self._activation), y)

    def facts(self) -> dict[str, Any]:
        return {"kind": "dense", "dimensions": self.dimension, "activation": self._activation}

    def weights(self) -> Mapping[str, Vectors]:
        return {"weight": self._weight} | ({} if self._bias is None else {"bias": self._bias})
