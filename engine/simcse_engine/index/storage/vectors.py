"""The vector file: append-only float32 rows, each with its checksum, read through a memory map.

A header says which index's file it is. Then come records of one size: of row i its vector, and a CRC-32 over the vector
and i. The number of rows that count stands in the database, once they are on disk. Whatever lies beyond them is what an
interrupted writer left, and the next one writes over it (docs/decisions/017-index-commit-point.md).
"""

import mmap
import os
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import IndexDamagedError, SearchIndexError
from ...files.handles import write_at
from ...files.refusals import as_unreadable
from .regular import open_regular

_MAGIC = b"SimCSEv1"
# Magic, dimension, generation, the index's own name; then a CRC-32 over them. Rows begin at a multiple of 64 bytes.
_HEADER = struct.Struct("<8sIQ16sI")
_HEADER_BYTES = 64
_WRITE_ROWS = 4096
_CHECK_ROWS = 1024


def vector_file_name(generation: int) -> str:
    """The name of the vector file of a generation."""
    return f"vectors-{generation}.f32"


def create_vector_file(path: Path, *, dimension: int, generation: int, name: bytes) -> None:
    """Write a file without rows and flush it; ``name`` are the 16 bytes that tell this index from all others."""
    head = _HEADER.pack(_MAGIC, dimension, generation, name, 0)[:-4]
    header = head + struct.pack("<I", zlib.crc32(head))
    with os.fdopen(open_regular(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as file:
        file.write(header.ljust(_HEADER_BYTES, b"\0"))
        file.flush()
        os.fsync(file.fileno())


def size_of_vectors(rows: int, dimension: int) -> int:
    """The size of a file of so many vectors, in bytes."""
    return _HEADER_BYTES + rows * _record_bytes(dimension)


class VectorWriter:
    """Writes rows into a vector file."""

    def __init__(self, path: Path, dimension: int) -> None:
        self._handle = open_regular(path, os.O_RDWR)
        self._record_bytes = _record_bytes(dimension)

    def write(self, start: int, vectors: NDArray[np.float32]) -> None:
        """Write rows ``start``, ``start + 1``, … and flush them to the disk; those before ``start`` stay untouched."""
        for first in range(0, len(vectors), _WRITE_ROWS):
            part = _records(start + first, vectors[first : first + _WRITE_ROWS])
            write_at(self._handle, part, _HEADER_BYTES + (start + first) * self._record_bytes)
        os.fdatasync(self._handle) if hasattr(os, "fdatasync") else os.fsync(self._handle)

    def trim(self, rows: int) -> None:
        """Give back the space of what lies behind the ``rows`` that count; whoever has them mapped keeps them."""
        end = _HEADER_BYTES + rows * self._record_bytes
        if os.fstat(self._handle).st_size > end:
            os.ftruncate(self._handle, end)

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)


def _record_bytes(dimension: int) -> int:
    return 4 * dimension + 4


def _records(start: int, vectors: NDArray[np.float32]) -> bytes:
    out = np.empty((len(vectors), vectors.shape[1] + 1), "<f4")
    out[:, :-1] = vectors
    out[:, -1:].view("<u4")[:, 0] = [_checksum(row, start + i) for i, row in enumerate(out[:, :-1])]
    return out.tobytes()


def _checksum(vector: NDArray[np.float32], row: int) -> int:
    # The row is in it, so that a record in another one's place does not pass.
    return zlib.crc32(vector.data, row & 0xFFFFFFFF)


class VectorMap:
    """The first rows of a vector file, mapped into memory; each row is checked at its first read.

    >>> vectors = VectorMap(path, rows=2, dimension=384, generation=1, name=name)
    >>> vectors.take(np.array([1, 0])).shape
    (2, 384)

    May be used from many threads at once.
    """

    def __init__(self, path: Path, *, rows: int, dimension: int, generation: int, name: bytes) -> None:
        """Map the ``rows`` of the file that count; its header must state the dimension, generation and name.

        Raises:
            FileNotFoundError: it does not exist; a compaction deletes the file of an older state.
            SearchIndexError: the system lets nobody read it now.
            IndexDamagedError: it is no regular file, no vector file, another index's, or shorter than its rows.
        """
        self.path = path
        self.rows = rows
        with as_unreadable(path, SearchIndexError), os.fdopen(open_regular(path), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(_HEADER.size)
            _check_header(path, head, dimension, generation, name)
            needed = _HEADER_BYTES + rows * _record_bytes(dimension)
            if size < needed:
                raise IndexDamagedError(f"{path}: {size} bytes, {rows} vectors need {needed}; restore it from a backup")
            self._map = mmap.mmap(file.fileno(), needed, access=mmap.ACCESS_READ)
        # A search reads rows here and there, so reading ahead is in vain.
        if hasattr(mmap, "MADV_RANDOM"):
            self._map.madvise(mmap.MADV_RANDOM)
        records = np.frombuffer(self._map, "<f4", rows * (dimension + 1), _HEADER_BYTES)
        self._records = records.reshape(rows, dimension + 1)
        self._checked = np.zeros(rows, np.bool_)

    def trust(self, earlier: "VectorMap") -> None:
        """Skip the check of rows that an earlier map of this file has checked."""
        self._checked[: earlier.rows] = earlier._checked

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors of these rows, int64 of any shape: float32 [*shape, dimension], a copy."""
        records = self._records.take(rows, axis=0)
        unchecked = ~self._checked[rows]
        if unchecked.any():
            self._check(records[unchecked], rows[unchecked])
        return records[..., :-1]

    def verified(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """All vectors, float32 [rows, dimension], not a copy, of which these rows, int64 [n], are checked."""
        unchecked = rows[~self._checked[rows]]
        if len(unchecked):
            self._check(self._records[unchecked], unchecked)
        return self._records[:, :-1]

    def block(self, start: int, end: int) -> NDArray[np.float32]:
        """The vectors of rows ``start`` to ``end`` (without): float32 [end - start, dimension], not a copy."""
        records = self._records[start:end]
        unchecked = np.flatnonzero(~self._checked[start:end])
        if len(unchecked):
            self._expect(start, end)
        for first in range(0, len(unchecked), _CHECK_ROWS):
            part = unchecked[first : first + _CHECK_ROWS]
            self._check(records[part], part + start)
        return records[:, :-1]

    def _expect(self, start: int, end: int) -> None:
        """Have the system read these rows at once: page by page, as it does otherwise, takes twenty times as long."""
        if hasattr(mmap, "MADV_WILLNEED"):
            first = (_HEADER_BYTES + start * self._records.strides[0]) // mmap.PAGESIZE * mmap.PAGESIZE
            length = _HEADER_BYTES + end * self._records.strides[0] - first
            self._map.madvise(mmap.MADV_WILLNEED, first, length)

    def _check(self, records: NDArray[np.float32], rows: NDArray[np.int64]) -> None:
        stated = records[:, -1:].view("<u4")[:, 0].tolist()
        vectors = records[:, :-1]
        for vector, checksum, row in zip(vectors, stated, rows.tolist(), strict=True):
            if _checksum(vector, row) != checksum:
                raise IndexDamagedError(f"{self.path}: vector {row} was altered; restore the file from a backup")
        self._checked[rows] = True


def _check_header(path: Path, header: bytes, dimension: int, generation: int, name: bytes) -> None:
    if len(header) < _HEADER.size or header[:6] != _MAGIC[:6]:
        raise IndexDamagedError(f"{path}: is not a vector file; restore it from a backup")
    magic, *facts, checksum = _HEADER.unpack(header)
    if magic != _MAGIC or zlib.crc32(header[:-4]) != checksum:
        raise IndexDamagedError(f"{path}: its header was altered; restore it from a backup")
    if facts != [dimension, generation, name]:
        raise IndexDamagedError(f"{path}: belongs to another index; restore this one's own")
