"""FAISS on the same vectors: its flat index, and its HNSW graph with our graph's numbers."""

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from simcse_engine.index.ann.scheme import Scheme
from simcse_engine.machine.cpu import usable_cpus

from .data import Data, K, Vectors

# Candidates that FAISS looks at; ours looks at 128.
WIDTHS = (32, 64, 128, 256)

Way = Callable[[Vectors], Vectors]


def faiss_ways(data: Data, facts: dict[str, Any]) -> dict[str, Way]:
    """Searches by name, where FAISS is installed. The HNSW graph and what it took to build are kept on disk."""
    try:
        import faiss
    except ImportError:
        print("absent: faiss: it is not installed; pip install 'simcse-engine[bench]'")
        return {}
    faiss.omp_set_num_threads(usable_cpus())
    dimension, saved, facts_file = data.vectors.shape[1], data.folder / "hnsw.faiss", data.folder / "faiss.json"
    scheme = Scheme(dimension=dimension, dtype="f32")
    if not facts_file.is_file():
        graph = faiss.IndexHNSWFlat(dimension, scheme.connectivity, faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction = scheme.expansion_add
        start, cpu = time.perf_counter(), time.process_time()
        graph.add(np.ascontiguousarray(data.vectors))
        took = {"build_seconds": time.perf_counter() - start, "build_cpu_seconds": time.process_time() - cpu}
        faiss.write_index(graph, str(saved))
        took |= {"size_mb": saved.stat().st_size / 1e6, "version": faiss.__version__}
        facts_file.write_text(json.dumps(took), encoding="utf-8")
    facts["faiss hnsw"] = json.loads(facts_file.read_text(encoding="utf-8"))
    # Its own threshold is beyond our batches, and without matrix products its flat index takes ten times as long.
    faiss.cvar.distance_compute_blas_threshold = 1
    graph, flat = faiss.read_index(str(saved)), faiss.IndexFlatIP(dimension)
    flat.add(np.ascontiguousarray(data.vectors))

    def searching(width: int) -> Way:
        parameters = faiss.SearchParametersHNSW(efSearch=width)
        return lambda queries: graph.search(queries, K, params=parameters)[0]

    ways: dict[str, Way] = {"faiss flat, exact": lambda queries: flat.search(queries, K)[0]}
    return ways | {f"faiss hnsw, {width} candidates": searching(width) for width in WIDTHS}
