"""hnswlib and USearch on the same vectors, each alone; and our graph without what follows it."""

from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcse_engine import Index
from simcse_engine.machine.cpu import usable_cpus

from .data import Data, K, Vectors
from .peers import CANDIDATES_TO_ADD, NEIGHBOURS, Way, absent, kept

_HNSWLIB_WIDTHS, _USEARCH_WIDTHS = (64, 128, 256), (128, 256)


def hnswlib_ways(data: Data, facts: dict[str, Any]) -> dict[str, Way]:
    """Searches by name, where hnswlib is installed: it is compiled on the spot."""
    try:
        import hnswlib
    except ImportError:
        return absent("hnswlib", facts)
    threads, dimension = usable_cpus(), data.vectors.shape[1]

    def build(vectors: Vectors) -> Any:
        graph = hnswlib.Index(space="ip", dim=dimension)
        graph.init_index(len(vectors), M=NEIGHBOURS, ef_construction=CANDIDATES_TO_ADD)
        graph.add_items(vectors, num_threads=threads)
        return graph

    path, facts["hnswlib"] = kept(data, "hnsw.hnswlib", build, lambda graph, path: graph.save_index(path))
    graph = hnswlib.Index(space="ip", dim=dimension)
    graph.load_index(str(path))

    def searching(width: int) -> Way:
        def search(queries: Vectors) -> Any:
            graph.set_ef(width)
            return graph.knn_query(queries, K, num_threads=min(threads, len(queries)))

        return Way(search, itemgetter(0))

    return {f"hnswlib, {width}": searching(width) for width in _HNSWLIB_WIDTHS}


def usearch_ways(data: Data, facts: dict[str, Any]) -> dict[str, Way]:
    """USearch's own graph of float16 by name."""
    from usearch.index import Index as USearch

    threads = usable_cpus()

    def empty() -> Any:
        return USearch(
            ndim=data.vectors.shape[1],
            metric="ip",
            dtype="f16",
            connectivity=NEIGHBOURS,
            expansion_add=CANDIDATES_TO_ADD,
            enable_key_lookups=False,
        )

    def build(vectors: Vectors) -> Any:
        graph = empty()
        graph.add(np.arange(len(vectors), dtype=np.uint64), np.ascontiguousarray(vectors), threads=threads)
        return graph

    path, facts["usearch f16"] = kept(data, "hnsw.usearch", build, lambda graph, path: graph.save(path))
    graph = empty()
    graph.load(str(path))

    def searching(width: int) -> Way:
        def search(queries: Vectors) -> Any:
            graph.expansion_search = width
            return graph.search(queries, K, threads=min(threads, len(queries)))

        return Way(search, keys)

    return {f"usearch f16, {width}": searching(width) for width in _USEARCH_WIDTHS}


def bare_ways(index: Index) -> dict[str, Way]:
    """The ANN graph that ours has saved, alone: its K nearest, and as many candidates as ours asks for."""
    with index._views.reading() as (_, view):
        ann = view.ann

    def searching(count: int) -> Way:
        search = partial(ann.search, count=count, threads=usable_cpus())
        return Way(search, lambda answer: answer[0][:, :K])

    name, count = "our graph, unscored", ann.scheme.candidates(K)
    return {name: searching(K), f"{name}, {count} candidates": searching(count)}


def keys(answer: Any) -> NDArray[Any]:
    """The keys that USearch found: [n, count]; of one query it returns another type."""
    return answer.keys if answer.keys.ndim == 2 else answer.keys[None]
