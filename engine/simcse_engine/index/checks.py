"""Checks of what callers hand to an index: its folder, metadata, vectors."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import IndexMismatchError, InputTypeError, InputValueError
from ..inputs import python_value
from ..wording import Wording, item

# By default, Python writes no longer numbers.
_MAX_BITS = 4096
# SQLite reads no JSON that is nested deeper than 1000.
_MAX_DEPTH = 100
# Vectors this near to unit length are kept to the bit: encoders round.
_UNIT_TOLERANCE = 1e-6


def checked_folder(folder: object) -> Path:
    """An index's folder as an absolute path."""
    if not isinstance(folder, str | os.PathLike):
        raise InputTypeError(f"an index is named by a path, not by {type(folder).__name__}")
    name = os.fspath(folder)
    if not isinstance(name, str) or "\0" in name:
        raise InputValueError(f"{name!r:.80} is no path")
    return Path(name).expanduser().absolute()


def checked_metadata(
    metadata: Sequence[Mapping[str, Any] | None] | None, count: int, *, of: str = "text"
) -> list[str | None]:
    """Metadata of ``count`` texts as JSON text, None where there is none; refused is what JSON would not give back."""
    if metadata is None:
        return [None] * count
    if isinstance(metadata, str | bytes | Mapping) or not isinstance(metadata, Sequence):
        raise InputTypeError(
            f"metadata is {type(metadata).__name__}; expected a list with a dict or None for each {of}"
        )
    _check_count("metadata", len(metadata), count, of)
    return [
        None if document is None else _as_json(document, item("metadata", i, called="metadata"))
        for i, document in enumerate(metadata)
    ]


def _as_json(document: object, name: Wording) -> str:
    if not isinstance(document, dict):
        raise InputTypeError(name, f" is {type(document).__name__}; expected a dict or None")
    _check_json(document, name, 0)
    # NumPy's scalars are written as what they hold.
    text = json.dumps(document, ensure_ascii=False, default=python_value)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputValueError(
            name, f" holds a lone surrogate ({text[error.start]!a}), which no JSON can hold"
        ) from error
    return text


def _check_json(value: object, name: Wording, depth: int) -> None:
    """Raise unless ``value`` comes back from JSON as what it is, or holds."""
    value = python_value(value)
    if depth > _MAX_DEPTH:
        raise InputValueError(name.cut(), f" is nested more than {_MAX_DEPTH} deep")
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise InputTypeError(name.cut(), f" has the name {key!r:.40}; JSON's names are str")
            _check_json(inner, name[key], depth + 1)
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            _check_json(inner, name[position], depth + 1)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise InputValueError(name.cut(), f" is {value}, which JSON does not have")
    elif isinstance(value, int) and value.bit_length() > _MAX_BITS:
        raise InputValueError(name.cut(), f" has {value.bit_length():,} bits; {_MAX_BITS:,} are the most")
    elif value is not None and not isinstance(value, str | bool | int):
        raise InputTypeError(
            name.cut(),
            f" is {type(value).__name__}; JSON has str, int, float, bool, None, and lists and dicts of them",
        )


def checked_vectors(vectors: object, dimension: int, *, count: int | None = None) -> NDArray[np.float32]:
    """Vectors, [n, dimension] of any length but zero, which has no direction, as float32 unit vectors."""
    try:
        array = np.asarray(vectors)
    except ValueError as error:
        raise InputValueError(f"vectors are not of one length ({error}); expected [n, {dimension}]") from error
    if array.dtype.kind not in "fiu":
        raise InputTypeError(f"vectors are of {array.dtype}; expected float32")
    if array.ndim != 2:
        raise InputValueError(f"vectors are of shape {list(array.shape)}; expected [n, {dimension}]")
    if array.shape[1] != dimension:
        raise IndexMismatchError(f"vectors are of dimension {array.shape[1]}, this index's of {dimension}")
    if count is not None:
        _check_count("vectors", len(array), count)
    if array.dtype.itemsize > 8:
        array = array.astype(np.float64)  # longdouble, which einsum would not narrow
    # Lengths in float64: the squares of large or small floats do not fit into 32 bits.
    with np.errstate(over="ignore"):
        lengths = np.sqrt(np.einsum("ij,ij->i", array, array, dtype=np.float64))
    wrong = np.flatnonzero(~np.isfinite(lengths) | (lengths == 0))
    if len(wrong):
        problem = "is of length zero" if lengths[wrong[0]] == 0 else "holds NaN or an infinity"
        raise InputValueError(f"vectors[{wrong[0]}] {problem}")
    unit = array.astype(np.float32)
    far = np.flatnonzero(np.abs(lengths - 1) > _UNIT_TOLERANCE)
    if len(far):
        unit[far] = array[far] / lengths[far, None]
    return unit


def _check_count(name: str, count: int, expected: int, of: str = "text") -> None:
    if count != expected:
        raise InputValueError(f"{name} has {count} for {expected} {of}s; expected one for each")
