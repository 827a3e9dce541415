"""Whitening: a linear map after which the vectors of a corpus have mean zero and, in every dimension, variance one.

Su et al. 2021, "Whitening Sentence Representations for Better Semantics and Faster Retrieval" (arXiv:2103.15316). The
leading dimensions are those along which the vectors vary most, so fewer of them may be kept.
"""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from simcse_engine.errors import CheckpointError
from simcse_engine.wording import Wording

from .part import Part, Vectors

if TYPE_CHECKING:
    from ..graph.nodes import Graph

# Along a direction of less variance than this part of the largest, the map would mostly enlarge float32's rounding.
_LEAST_VARIANCE = 1e-5


class Moments:
    """Mean and covariance of rows that come in blocks, summed in float64."""

    def __init__(self, dimension: int) -> None:
        self.count = 0
        self._origin: NDArray[np.float64] | None = None
        self._sum = np.zeros(dimension)
        self._products = np.zeros((dimension, dimension))

    def add(self, vectors: Vectors) -> None:
        """Take rows along."""
        rows = vectors.astype(np.float64)
        if self._origin is None:
            # Near the mean, so that the difference of two large sums is never needed.
            self._origin = rows.mean(0)
        rows -= self._origin
        self.count += len(rows)
        self._sum += rows.sum(0)
        self._products += rows.T @ rows

    @property
    def mean(self) -> NDArray[np.float64]:
        """float64 [dimension]."""
        assert self._origin is not None  # there are rows
        mean: NDArray[np.float64] = self._origin + self._sum / self.count
        return mean

    @property
    def covariance(self) -> NDArray[np.float64]:
        """float64 [dimension, dimension]."""
        return (self._products - np.outer(self._sum, self._sum) / self.count) / (self.count - 1)


class Whitening(Part):
    """(x - mean) · U Λ^(-1/2), of the leading eigenvectors U and eigenvalues Λ of the covariance."""

    def __init__(self, mean: NDArray[np.float64], matrix: NDArray[np.float64], facts: dict[str, Any], variance: float):
        """``matrix`` is [d, d']; ``variance`` the share of the corpus's variance that its directions have."""
        self.dimension = matrix.shape[1]
        self._mean, self._matrix = mean.astype(np.float32), matrix.astype(np.float32)
        self._facts, self._variance = facts, variance

    @classmethod
    def of(cls, moments: Moments, dimensions: int | None, corpus: str) -> Self:
        """The map to ``dimensions``, or for None to as many as vary; ``corpus`` is the digest of its sentences.

        Raises:
            CheckpointError: too few sentences, or so many dimensions do not vary.
        """
        full = len(moments.mean)
        if moments.count <= full:
            raise CheckpointError(
                f"whitening needs more sentences than the vectors have dimensions: {moments.count} distinct ones for "
                f"{full}"
            )
        variances, directions = np.linalg.eigh(moments.covariance)
        variances, directions = variances[::-1], directions[:, ::-1]
        rank = int(np.count_nonzero(variances > _LEAST_VARIANCE * variances[0])) if variances[0] > 0 else 0
        count = rank if dimensions is None else dimensions
        if not 1 <= count <= rank:
            raise CheckpointError(
                f"whitening to {count} dimensions: the vectors of these sentences vary in {rank} of {full}; choose ",
                Wording(f"dimensions={rank}", f"--dimensions {rank}"),
                " or fewer",
            )
        kept = directions[:, :count]
        # A direction has no sign of its own; this one is the same wherever it is computed.
        kept = kept * np.sign(kept[np.abs(kept).argmax(0), np.arange(count)])
        facts = {"kind": "whitening", "dimensions": count, "sentences": moments.count, "corpus": corpus}
        share = float(variances[:count].sum() / variances.sum())
        return cls(moments.mean, kept / np.sqrt(variances[:count]), facts, share)

    def reference(self, vectors: Vectors) -> Vectors:
        # In float64, as the numbers of the map themselves were found.
        result: Vectors = ((vectors.astype(np.float64) - self._mean) @ self._matrix).astype(np.float32)
        return result

    def write(self, graph: "Graph", vectors: str, name: str) -> str:
        centred = graph.op("Sub", vectors, graph.weight(f"{name}.mean", self._mean))
        return graph.op("MatMul", centred, graph.weight(f"{name}.matrix", self._matrix))

    def facts(self) -> dict[str, Any]:
        # Not its numbers, whose last bits differ with the machine that found them.
        return self._facts

    def figures(self) -> dict[str, Any]:
        return {"variance": round(self._variance, 4)}
