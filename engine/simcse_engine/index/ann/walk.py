"""Searches of a saved graph by our own kernels (`engine/kernels/graph_walk.h`), where they can walk it.

They find what USearch finds, in a third of the time (docs/decisions/019-ann-graph.md), and need no working memory of a
graph's own: any number of searches run side by side.
"""

import ctypes
import functools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import IndexDamagedError
from ...machine.kernels import KernelLibrary, chosen_variant, load_library
from .layout import Nodes
from .scheme import Scheme

# What the kernels can walk: files of this version of USearch, whose slots and products of bytes fit 32 bits.
_VERSION, _MOST_NODES, _MOST_DIMENSION, _MOST_CONNECTIVITY = 2, (1 << 31) - 1, 1 << 16, 64
_DONE, _DAMAGED, _NO_MEMORY = 0, 1, 2


class GraphWalk:
    """A search of one graph; any thread may use it at any time."""

    def __init__(
        self, function: Any, variant: str, content: memoryview, nodes: Nodes, scheme: Scheme, keys: int
    ) -> None:
        """Prepare to search ``content``, which has these nodes and this scheme; each key is less than ``keys``."""
        self._function, self._variant = function, ctypes.c_char_p(variant.encode())
        self._content, self._nodes, self._scheme = np.frombuffer(content, np.uint8), nodes, scheme
        self._keys = keys

    def __len__(self) -> int:
        return len(self._nodes.levels)

    def search(self, stored: NDArray[np.int8], count: int, *, threads: int) -> NDArray[np.int64]:
        """The ``count`` nearest rows to each `quantized` query: int64 [n, count], -1 where it found fewer."""
        scheme, nodes = self._scheme, self._nodes
        stored, keys = np.ascontiguousarray(stored), np.empty((len(stored), count), np.int64)
        connectivity, width = scheme.connectivity, max(scheme.expansion_search, count)
        sizes = np.array(
            [
                *(len(self), scheme.dimension, 2 * connectivity, connectivity, nodes.entry, nodes.top),
                *(len(stored), width, count, self._keys),
            ],
            np.int64,
        )
        outcome = self._function(
            *(self._variant, ctypes.c_int64(threads), _pointer(sizes), _pointer(self._content)),
            *(_pointer(nodes.starts), _pointer(stored), _pointer(keys)),
        )
        if outcome == _NO_MEMORY:
            raise MemoryError(f"no memory to search an ANN graph on {threads} threads")
        if outcome == _DAMAGED or (outcome == _DONE and _repeated(keys)):
            raise IndexDamagedError("the ANN graph's file was altered while it was searched")
        if outcome != _DONE:
            raise RuntimeError(f"the kernels cannot walk an ANN graph of {sizes.tolist()}")
        return keys


def walk_of(content: memoryview, nodes: Nodes, scheme: Scheme, keys: int) -> GraphWalk | None:
    """A walk over ``content``, whose keys are less than ``keys``.

    None where no kernels can walk it or run on this CPU, or SIMCSE_KERNELS allows none.
    """
    small = scheme.dimension <= _MOST_DIMENSION and scheme.connectivity <= _MOST_CONNECTIVITY
    if scheme.dtype != "i8" or nodes.version != _VERSION or not small or not 0 < len(nodes.levels) <= _MOST_NODES:
        return None
    library = load_library()
    variant = chosen_variant(library)
    if variant is None or not isinstance(library, KernelLibrary):
        return None
    return GraphWalk(_function(library.path), variant, content, nodes, scheme, keys)


@functools.cache
def _function(library: Path) -> Any:
    # Without Python's lock, so that searches of several threads go on side by side.
    return ctypes.CDLL(str(library)).simcse_graph_search


def _repeated(keys: NDArray[np.int64]) -> bool:
    """Whether a key was found twice for a query: no node is."""
    ordered = np.sort(keys, axis=1)
    return bool(((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any())


def _pointer(array: NDArray[Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
