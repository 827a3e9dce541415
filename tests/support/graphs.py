"""ANN graphs of i8 in USearch's files, as the kernels are handed them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simcse_engine.index.ann.layout import Layout, Nodes
from simcse_engine.index.ann.scheme import Scheme
from simcse_engine.index.ann.usearch import LibraryGraph
from support.kernels import Kernels

DONE, DAMAGED, NO_MEMORY, UNKNOWN = range(4)


@dataclass
class File:
    """A graph's file.

    Attributes:
        graph: USearch's, which wrote it.
        scheme: what it is built by.
        stored: int8 [rows, dimension].
        keys: int64 [rows].
        content: uint8, the file's.
        nodes: where they are in it.
        limit: what each key is less than.
    """

    graph: LibraryGraph
    scheme: Scheme
    stored: np.ndarray
    keys: np.ndarray
    content: np.ndarray
    nodes: Nodes
    limit: int

    def products(self, queries: np.ndarray, found: np.ndarray) -> np.ndarray:
        """The products of queries with the rows of the keys found for them, int64; -1 gives the least."""
        rows = np.searchsorted(self.keys, np.maximum(found, self.keys[0]))
        products = np.einsum("qd,qkd->qk", queries.astype(np.int64), self.stored[rows].astype(np.int64))
        return np.where(found < 0, np.iinfo(np.int64).min, products)

    def sizes(self, queries: int, width: int, wanted: int) -> np.ndarray:
        """The sizes as the kernels take them."""
        connectivity, nodes = self.scheme.connectivity, self.nodes
        shape = [len(self.stored), self.scheme.dimension, 2 * connectivity, connectivity]
        return np.array([*shape, nodes.entry, nodes.top, queries, width, wanted, self.limit], np.int64)

    def walk(
        self, kernels: Kernels, variant: str, queries: np.ndarray, wanted: int, *, width: int = 64, threads: int = 1
    ) -> tuple[int, np.ndarray]:
        """What the kernels return, and the keys that they find."""
        sizes, keys = self.sizes(len(queries), width, wanted), np.full((len(queries), wanted), -2, np.int64)
        outcome = kernels.call(
            "simcse_graph_search", variant.encode(), threads, sizes, self.content, self.nodes.starts, queries, keys
        )
        return outcome, keys


def graph_file(folder: Path, rows: int, dimension: int, *, connectivity: int = 8, seed: int = 0) -> File:
    """A graph of bytes of any value, but -128."""
    scheme = Scheme(dimension=dimension, dtype="i8", connectivity=connectivity, expansion_search=64)
    stored, keys = whole_numbers(rows, dimension, seed), np.arange(rows) * 3 + 5
    graph = LibraryGraph(scheme)
    graph.add(keys, stored, threads=1)
    path = folder / f"{rows}-{dimension}-{connectivity}"
    graph.save(path)
    content = path.read_bytes()
    *kinds, _ = graph.head
    layout = Layout(
        head=(*kinds, rows, 0, dimension, False), vector_bytes=dimension, connectivity=connectivity, keys=3 * rows + 5
    )
    nodes = layout.check(memoryview(content))
    return File(graph, scheme, stored, keys, np.frombuffer(content, np.uint8), nodes, layout.keys)


def whole_numbers(rows: int, dimension: int, seed: int) -> np.ndarray:
    """Random int8 [rows, dimension], of one length or so, with some at the ends of their range."""
    random = np.random.default_rng(seed)
    numbers = np.clip(np.rint(random.normal(0, 40, (rows, dimension))), -127, 127)
    return numbers.astype(np.int8)
