"""What a part of the tail offers."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ..graph.nodes import Graph

Vectors = NDArray[np.float32]


class Part(ABC):
    """Makes float32 [sentences, d'] of float32 [sentences, d], each row by itself.

    Attributes:
        dimension: d', floats per vector.
    """

    dimension: int

    @abstractmethod
    def reference(self, vectors: Vectors) -> Vectors:
        """What the graph must compute, computed without it."""

    @abstractmethod
    def write(self, graph: "Graph", vectors: str, name: str) -> str:
        """Write it behind ``vectors`` in plain operators of ONNX; its constants are named ``name`` and more."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What it is, for the manifest and the source's digest; plain JSON."""

    def figures(self) -> dict[str, Any]:
        """What was measured of it, for the manifest alone."""
        return {}

    def weights(self) -> Mapping[str, Vectors]:
        """What it holds of the checkpoint or of a user's file, for the source's digest."""
        return {}
