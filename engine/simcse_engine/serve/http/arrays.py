"""Vectors as clients ask for them: JSON, base64, npy; and their cosines."""

import asyncio
import binascii
import io
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import orjson
from numpy.typing import NDArray

NPY = "application/x-npy"

# So many floats are written as JSON within about two milliseconds, and orjson lets no other thread run meanwhile.
_PIECE_FLOATS = 1 << 16
_T = TypeVar("_T")


def as_json(array: NDArray[Any]) -> bytes:
    """JSON of an array, each number in digits that are read as the same number of its type.

    Of float32 they are the fewest; a float16 is written as the float32 that it equals.
    """
    return orjson.dumps(np.ascontiguousarray(array), option=orjson.OPT_SERIALIZE_NUMPY)


def rows_as_json(vectors: NDArray[Any]) -> list[bytes]:
    """JSON of each of the vectors [n, d]."""
    rows = np.ascontiguousarray(vectors)
    return [orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY) for row in rows]


def rows_as_base64(vectors: NDArray[Any]) -> list[bytes]:
    """Each of the vectors [n, d] as a JSON string: the base64 of its numbers, little-endian."""
    size = vectors.itemsize * vectors.shape[1]
    content = np.ascontiguousarray(vectors, vectors.dtype.newbyteorder("<")).data.cast("B")
    encode = binascii.b2a_base64
    return [b'"%b"' % encode(content[start : start + size], newline=False) for start in range(0, len(content), size)]


def as_npy(array: NDArray[Any]) -> bytes:
    """The array as a `.npy` file."""
    file = io.BytesIO()
    np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)
    return file.getvalue()


async def in_pieces(vectors: NDArray[Any], write: Callable[[NDArray[Any]], _T]) -> list[_T]:
    """What ``write`` makes of the vectors [n, d], some rows at a time; the event loop turns to others in between."""
    rows = max(1, _PIECE_FLOATS // vectors.shape[1])
    if len(vectors) <= rows:
        return [write(vectors)]
    pieces = []
    for start in range(0, len(vectors), rows):
        pieces.append(write(vectors[start : start + rows]))
        await asyncio.sleep(0)
    return pieces


async def as_json_in_pieces(vectors: NDArray[Any]) -> bytes:
    """`as_json` of the vectors [n, d], piece by piece."""
    pieces = await in_pieces(vectors, as_json)
    if len(pieces) == 1:
        return pieces[0]
    # Copied once, as new memory costs more than what is written there.
    first, *others, last = (memoryview(piece) for piece in pieces)
    return b",".join((first[:-1], *(piece[1:-1] for piece in others), last[1:]))


def listed(items: Sequence[bytes], before: bytes = b"", after: bytes = b"") -> bytes:
    """The JSON of a list of what is JSON already, with what stands before and after it; copied once."""
    if not items:
        return before + b"[]" + after
    first, *others = items
    joined = [before + b"[" + first, *others]
    joined[-1] += b"]" + after
    return b",".join(joined)


def cosines(vector: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """The cosines of a vector [d] and of each of others [n, d]; 0 where a vector is of zeros."""
    # In float64: float32's sums would depend on how many vectors there are.
    products = np.einsum("ij,j->i", others, vector, dtype=np.float64)
    squares = np.einsum("ij,ij->i", others, others, dtype=np.float64)
    norms = np.sqrt(squares * np.einsum("j,j->", vector, vector, dtype=np.float64))
    cosines: NDArray[np.float32] = (products / np.maximum(norms, np.finfo(np.float64).tiny)).astype(np.float32)
    return cosines
