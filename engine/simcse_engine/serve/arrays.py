"""Vectors as clients ask for them: JSON, base64, npy; cut to fewer dimensions."""

import io

import numpy as np
import orjson
from numpy.typing import NDArray

NPY = "application/x-npy"


def as_json(array: NDArray[np.float32]) -> bytes:
    """JSON of an array, each number in the fewest digits that are read as the same float32."""
    return orjson.dumps(np.ascontiguousarray(array), option=orjson.OPT_SERIALIZE_NUMPY)


def as_npy(array: NDArray[np.float32]) -> bytes:
    """The array as a `.npy` file."""
    file = io.BytesIO()
    np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)
    return file.getvalue()


def cut(vectors: NDArray[np.float32], dimensions: int, *, normalized: bool) -> NDArray[np.float32]:
    """The first ``dimensions`` of vectors [n, d], at unit length again where they had it."""
    shorter = vectors[:, :dimensions]
    return unit(shorter) if normalized else shorter


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors [n, d] at unit length; a vector of zeros stays so."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float32] = vectors / np.maximum(norms, np.finfo(np.float32).tiny)
    return unit
