"""FAISS on the same vectors: its flat index at its best settings, and its HNSW graph."""

import itertools
from collections.abc import Callable
from operator import itemgetter
from typing import Any

import numpy as np

from simcse_engine.machine.cpu import usable_cpus

from ..turns import alternate, timed
from .data import BATCH, Data, K, Vectors
from .peers import CANDIDATES_TO_ADD, NEIGHBOURS, WIDTHS, Way, absent, kept

# From how many queries on the flat index multiplies matrices, and how many rows it then multiplies at once. None is its
# own setting.
_THRESHOLDS = (None, 1)
_ROWS_AT_ONCE = (None, 4_096, 16_384)
_TRIES = 3


def faiss_ways(data: Data, facts: dict[str, Any]) -> dict[str, Way]:
    """Searches by name, where FAISS is installed."""
    try:
        import faiss
    except ImportError:
        return absent("faiss-cpu", facts)
    faiss.omp_set_num_threads(usable_cpus())
    dimension = data.vectors.shape[1]

    def build(vectors: Vectors) -> Any:
        graph = faiss.IndexHNSWFlat(dimension, NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction = CANDIDATES_TO_ADD
        graph.add(np.ascontiguousarray(vectors))
        return graph

    path, facts["faiss hnsw"] = kept(data, "hnsw.faiss", build, faiss.write_index)
    facts["faiss hnsw"] |= {"version": faiss.__version__}
    graph, flat = faiss.read_index(str(path)), Flat(data)
    facts["faiss flat"] = {"settings": flat.settings, "bytes_a_vector": 4 * dimension}

    def searching(width: int) -> Way:
        parameters = faiss.SearchParametersHNSW(efSearch=width)
        return Way(lambda queries: graph.search(queries, K, params=parameters), itemgetter(1))

    return {
        "faiss flat": Way(flat.search, itemgetter(1)),
        **{f"faiss hnsw, {width}": searching(width) for width in WIDTHS},
    }


class Flat:
    """FAISS's flat index, at the best of its settings for one query and for a batch.

    Attributes:
        settings: the best, by the number of queries: the threshold and the rows at once.
    """

    def __init__(self, data: Data) -> None:
        import faiss

        self._globals = faiss.cvar
        self._own = (self._globals.distance_compute_blas_threshold, self._globals.distance_compute_blas_database_bs)
        self._index = faiss.IndexFlatIP(data.vectors.shape[1])
        self._index.add(np.ascontiguousarray(data.vectors))
        self.settings = {count: self._best(data.queries[:count]) for count in (1, BATCH)}

    def search(self, queries: Vectors) -> Any:
        """The scores and rows of the K nearest."""
        self._set(self.settings[min(self.settings, key=lambda count: abs(count - len(queries)))])
        return self._index.search(queries, K)

    def _set(self, setting: tuple[int, int]) -> None:
        self._globals.distance_compute_blas_threshold, self._globals.distance_compute_blas_database_bs = setting

    def _best(self, queries: Vectors) -> tuple[int, int]:
        own = zip(self._own, (_THRESHOLDS, _ROWS_AT_ONCE), strict=True)
        settings = list(itertools.product(*([mine if each is None else each for each in tried] for mine, tried in own)))

        def trying(setting: tuple[int, int]) -> Callable[[Vectors], Any]:
            def search(batch: Vectors) -> Any:
                self._set(setting)
                return self._index.search(batch, K)

            return search

        seconds = alternate({str(each): timed(trying(each)) for each in settings}, [queries] * _TRIES)
        return min(settings, key=lambda each: min(seconds[str(each)]))
