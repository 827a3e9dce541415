"""The layout of USearch's files, checked before anything searches one: the library trusts a file, and would crash.

A file holds the vectors; a head; the sizes of the graph; the level of each node; and the nodes. A node has a key, its
level again, and for each level from 0 to its own a list of neighbours: how many, and room for so many slots, which are
the neighbours' places in the file. All numbers are little-endian.
"""

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..limits import blocks

_MATRIX = struct.Struct("<II")
# Of the version, the first number counts: USearch 2 reads what any USearch 2 wrote.
_HEAD = struct.Struct("<7sH4x4B3Q?22x")
_GRAPH = struct.Struct("<5Q")
_NODE_BYTES = 10
_SLOT_BYTES = 4
_BLOCK_NODES = 4096


class LayoutError(Exception):
    """A file that USearch must not see."""


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """The nodes of a file.

    Attributes:
        version: the first number of the version of the USearch that wrote them.
        starts: int64 [nodes + 1], where each begins, and where the last one ends.
        levels: int16 [nodes], of each.
        entry: the one where a search begins.
        top: its level, the highest.
    """

    version: int
    starts: NDArray[np.int64]
    levels: NDArray[np.int16]
    entry: int
    top: int


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What a file must be.

    Attributes:
        head: what its head must say: the numbers of the metric and of the types of vectors, keys and slots, how many
            vectors are present and how many are deleted, their dimension, and whether a key may have several.
        vector_bytes: of one stored vector.
        connectivity: most neighbours of a node above level 0, where there may be twice as many.
        keys: each key is less than this, and there once.
    """

    head: tuple[int, ...]
    vector_bytes: int
    connectivity: int
    keys: int

    def check(self, content: memoryview) -> Nodes:
        """The nodes of ``content``; LayoutError unless it is such a file."""
        nodes = self.nodes(content)
        starts, levels = nodes.starts[:-1], nodes.levels
        self._check_keys(content, starts, levels)
        begins = self._begins(nodes.top)
        for level in range(nodes.top + 1):
            reaching = np.flatnonzero(levels >= level)
            for first, last in blocks(0, len(reaching), _BLOCK_NODES):
                lists = _fields(content, starts[reaching[first:last]] + begins[level], 1 + self._width(level), "<u4")
                _check_neighbours(lists, levels, level)
        return nodes

    def nodes(self, content: memoryview) -> Nodes:
        """The nodes of ``content``, whose own content is not looked at; LayoutError unless they and all else fit."""
        try:
            return self._nodes(content)
        except (struct.error, ValueError, OverflowError) as error:
            raise LayoutError(f"too short ({error})") from error

    def _nodes(self, content: memoryview) -> Nodes:
        members = self.head[4]
        _same("vectors", _MATRIX.unpack_from(content), (members, self.vector_bytes))
        at = _MATRIX.size + members * self.vector_bytes
        magic, version, *head = _HEAD.unpack_from(content, at)
        _same("head", (magic, *head), (b"usearch", *self.head))
        at += _HEAD.size
        nodes, above, base, top, entry = _GRAPH.unpack_from(content, at)
        _same("graph", (nodes, above, base), (members, self._width(1), self._width(0)))
        at += _GRAPH.size
        levels = np.frombuffer(content, "<i2", nodes, at)
        if nodes and not (levels.min() >= 0 and entry < nodes and levels.max() == top == levels[entry]):
            raise LayoutError("levels that contradict each other")
        top = int(top) if nodes else 0
        starts = np.empty(nodes + 1, np.int64)
        starts[0] = at + levels.nbytes
        np.cumsum(self._begins(top)[1:][levels], out=starts[1:])
        starts[1:] += starts[0]
        if len(content) != starts[-1]:
            raise LayoutError(f"{len(content):,} bytes, not {starts[-1]:,}")
        return Nodes(version=version, starts=starts, levels=levels, entry=int(entry), top=top)

    def _width(self, level: int) -> int:
        """Most neighbours of a node at a level."""
        return self.connectivity if level else 2 * self.connectivity

    def _begins(self, top: int) -> NDArray[np.int64]:
        """Where the list of each level up to ``top`` begins in a node, and where a node of that level ends."""
        return np.cumsum([_NODE_BYTES, *(_SLOT_BYTES * (1 + self._width(level)) for level in range(top + 1))])

    def _check_keys(self, content: memoryview, starts: NDArray[np.int64], levels: NDArray[np.int16]) -> None:
        keys = np.sort(_fields(content, starts, 1, "<u8")[:, 0])
        if len(keys) and keys[-1] >= self.keys:
            raise LayoutError("keys of no row")
        if (keys[1:] == keys[:-1]).any():
            raise LayoutError("a key twice")
        if not np.array_equal(_fields(content, starts + 8, 1, "<i2")[:, 0], levels):
            raise LayoutError("nodes of another level")


def _fields(content: memoryview, starts: NDArray[np.int64], count: int, dtype: str) -> NDArray[Any]:
    """``count`` numbers from each of these places on, which need not be aligned: [starts, count], a copy."""
    width = count * np.dtype(dtype).itemsize
    windows = np.lib.stride_tricks.sliding_window_view(np.frombuffer(content, np.uint8), width)
    return windows[starts].view(dtype)


def _check_neighbours(lists: NDArray[Any], levels: NDArray[np.int16], level: int) -> None:
    """Raise unless each list, [n, 1 + width], fits its room and names nodes that have this level."""
    counts, slots = lists[:, 0], lists[:, 1:]
    used = np.arange(slots.shape[1]) < counts[:, None]
    if counts.max() > slots.shape[1] or (used & (slots >= len(levels))).any():
        raise LayoutError("neighbours that are not there")
    if level and (levels[slots[used]] < level).any():
        raise LayoutError("neighbours of a lower level")


def _same(what: str, stated: tuple[object, ...], expected: tuple[object, ...]) -> None:
    if stated != expected:
        raise LayoutError(f"{what} {stated}, not {expected}")
