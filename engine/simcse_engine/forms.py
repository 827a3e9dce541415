"""Forms of vectors: how many numbers each has, and of which type; sentence-transformers' truncate_dim and precision."""

import math
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from .artifact.manifest import Manifest
from .errors import InputValueError
from .inputs import checked_choice, checked_count
from .wording import argument

if TYPE_CHECKING:
    from .files.vectors import VectorFacts

DType = Literal["float32", "float16", "int8", "uint8", "binary", "ubinary"]

# In NumPy. The bits of "binary" and "ubinary" are packed, eight to a number.
_NUMPY = {"binary": np.dtype(np.int8), "ubinary": np.dtype(np.uint8)}
_BITS = tuple(_NUMPY)


class VectorForm:
    """What is made of each vector: it depends on the vector and the artifact alone, not on the vector's company.

    Attributes:
        dimensions: how many of the vector's first numbers are kept.
        dtype: their type. "int8" is round(127 · x / r), from -127 to 127, so that cosines and inner products of such
            vectors are those of floats; "uint8" is 128 more. r is the artifact's `Manifest.output_range`, and for cut
            vectors of unit length √(full / dimensions) times that, as their numbers grow. "ubinary" has a bit for each
            number, 1 if it is positive, packed as by `numpy.packbits`; "binary" is 128 less, as int8.
        normalized: whether vectors have unit length, again after a cut.
        full: how many numbers the vectors have before that.
        limit: r of int8; None for other types.
    """

    # By hand, as a dataclass takes half a millisecond of every start.
    def __init__(self, *, dimensions: int, dtype: DType, normalized: bool, full: int, limit: float | None) -> None:
        self.dimensions = dimensions
        self.dtype = dtype
        self.normalized = normalized
        self.full = full
        self.limit = limit

    @classmethod
    def of(cls, manifest: Manifest, dimensions: int | None = None, dtype: DType = "float32") -> Self:
        """Check what a caller asks for; None for all dimensions.

        Raises:
            InputTypeError, InputValueError: more dimensions than there are, an unknown type, or 8-bit numbers of an
                artifact whose export did not measure their range.
        """
        full = manifest.dimension
        count = checked_count("dimensions", dimensions, full)
        if count > full:
            raise InputValueError(argument("dimensions", count), f": the vectors have {full}, and can only be cut")
        checked_choice("dtype", dtype, DType)
        limit = None
        if dtype in ("int8", "uint8"):
            if manifest.output_range is None:
                raise InputValueError(
                    argument("dtype", dtype), ": the artifact does not state its vectors' range; export it again"
                )
            limit = manifest.output_range * (math.sqrt(full / count) if manifest.normalized else 1)
        return cls(dimensions=count, dtype=dtype, normalized=manifest.normalized, full=full, limit=limit)

    @property
    def plain(self) -> bool:
        """Whether vectors stay what the artifact gives."""
        return self.dtype == "float32" and self.dimensions == self.full

    @property
    def columns(self) -> int:
        """Numbers of each result, as it is stored."""
        return -(-self.dimensions // 8) if self.dtype in _BITS else self.dimensions

    @property
    def numpy(self) -> np.dtype[Any]:
        """The type of the numbers, as they are stored."""
        return _NUMPY.get(self.dtype) or np.dtype(self.dtype)

    def facts(self, identity: str, prompt: str) -> "VectorFacts":
        """What a file says of such vectors of texts behind ``prompt``, of the artifact of this ``identity``."""
        from .files.vectors import VectorFacts  # lazily: only who writes files needs what it imports

        return VectorFacts(
            columns=self.columns,
            numpy=self.numpy,
            dtype=self.dtype,
            dimensions=self.dimensions,
            identity=identity,
            prompt=prompt,
        )

    def __str__(self) -> str:
        """What each vector is, for people."""
        if self.dtype in _BITS:
            return f"{self.dimensions} bits"
        return f"{self.dimensions} {'floats' if self.dtype == 'float32' else self.dtype}"

    def apply(self, vectors: NDArray[np.float32]) -> NDArray[Any]:
        """Convert float32 [n, full], an artifact's vectors: `numpy` [n, columns]."""
        if self.dimensions < self.full:
            vectors = cut(vectors, self.dimensions, normalized=self.normalized)
        if self.dtype in _BITS:
            bits = np.packbits(vectors > 0, axis=1)
            # 128 less, as sentence-transformers has it: that flips the highest bit.
            return (bits ^ np.uint8(0x80)).view(np.int8) if self.dtype == "binary" else bits
        if self.limit is None:
            return vectors.astype(self.numpy, copy=False)
        whole = np.clip(np.rint(vectors * np.float32(127 / self.limit)), -127, 127)
        numbers: NDArray[Any] = (whole + 128 if self.dtype == "uint8" else whole).astype(self.numpy)
        return numbers


def cut(vectors: NDArray[np.float32], dimensions: int, *, normalized: bool) -> NDArray[np.float32]:
    """The first ``dimensions`` of vectors [n, d], at unit length again where they had it."""
    shorter = vectors[:, :dimensions]
    return unit(shorter) if normalized else shorter


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors [n, d] at unit length; a vector of zeros stays so."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float32] = vectors / np.maximum(norms, np.finfo(np.float32).tiny)
    return unit
