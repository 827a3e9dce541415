"""How fast is our own search of a saved ANN graph, in each variant of the kernels, beside USearch's of the same file?

Both search on one thread for as many candidates as an index asks for, take turns, and CPU seconds count: they hold on a
busy machine too. Recall@10 is of the candidates, once they are scored.

    python -m benchmarks.choices.walk docs-100k 100k 1m
    python -m benchmarks.choices.walk 100k --trial       two rounds, to see that everything works
"""

import argparse
import os
import time
from collections.abc import Callable
from itertools import cycle, islice
from typing import Any

import numpy as np

from simcse_engine import Index
from simcse_engine.index.ann.layout import Layout
from simcse_engine.index.ann.scheme import Scheme, quantized
from simcse_engine.index.ann.usearch import LibraryGraph
from simcse_engine.index.ann.walk import walk_of
from simcse_engine.machine.kernels import VARIABLE, KernelLibrary, load_library

from ..record import RESULTS_VARIABLE, TRIAL, write_result
from ..search.built import DTYPE, built
from ..search.data import BATCH, NAMES, Data, K, Vectors, load
from ..statistics import Ratio
from ..turns import alternate

_ROUNDS, _WIDTHS, _USEARCH = 40, (64, 128, 192, 256), "usearch"

Search = Callable[[Vectors], Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", choices=NAMES)
    parser.add_argument("--trial", action="store_true")
    arguments = parser.parse_args()
    if arguments.trial:
        os.environ[RESULTS_VARIABLE] = str(TRIAL)
    figures = {name: _measure(load(name), 2 if arguments.trial else _ROUNDS) for name in arguments.data}
    about = {"question": f"CPU µs a query of a search for an ANN graph's candidates, and recall@{K} of these"}
    write_result("walk", about, {"data": figures})


def _measure(data: Data, rounds: int) -> dict[str, Any]:
    folder, _ = built(data)
    with Index(folder, read_only=True) as index, index._views.reading() as (_, view):
        scale = view.ann._scale
    content = memoryview(next(folder.glob("graph-*.usearch")).read_bytes())
    by_width = {}
    for width in _WIDTHS:
        scheme = Scheme(dimension=data.vectors.shape[1], dtype=DTYPE, expansion_search=width)
        searches = _searches(content, scheme, scale)
        found = {name: np.concatenate([search(each) for each in data.batches()]) for name, search in searches.items()}
        batches = list(islice(cycle(data.batches()), rounds))
        seconds = alternate({name: _cpu_seconds(search) for name, search in searches.items()}, batches)
        by_width[width] = {
            name: {
                f"recall_at_{K}": data.recall(_scores(data, found[name])),
                "cpu_us_a_query": 1e6 * float(np.median(values)) / BATCH,
                "usearch_over_this": Ratio.of(seconds[_USEARCH], values),
            }
            for name, values in seconds.items()
        }
    return {"vectors": data.about["vectors"], "by_width": by_width}


def _searches(content: memoryview, scheme: Scheme, scale: float | None) -> dict[str, Search]:
    """USearch's search and that of each variant which this CPU can run, by name."""
    library, count = LibraryGraph(scheme), scheme.candidates(K)
    library.view(content, "the graph")
    *kinds, dimension = library.head
    nodes = Layout(
        head=(*kinds, len(library), 0, dimension, False),
        vector_bytes=scheme.vector_bytes,
        connectivity=scheme.connectivity,
        keys=len(library),
    ).nodes(content)
    graphs: dict[str, Any] = {_USEARCH: library}
    kernels = load_library()
    for variant in kernels.variants if isinstance(kernels, KernelLibrary) else ():
        os.environ[VARIABLE] = variant
        graphs[variant] = walk_of(content, nodes, scheme, len(library))
    os.environ.pop(VARIABLE, None)
    return {
        name: lambda queries, graph=graph: graph.search(quantized(queries, scheme, scale), count, threads=1)
        for name, graph in graphs.items()
    }


def _cpu_seconds(search: Search) -> Callable[[Vectors], float]:
    def measure(queries: Vectors) -> float:
        start = time.process_time()
        search(queries)
        return time.process_time() - start

    return measure


def _scores(data: Data, found: np.ndarray) -> Vectors:
    """The K best cosines of the rows that were found, [QUERIES, K]."""
    parts = []
    for queries, rows in zip(data.batches(), np.split(found, len(found) // BATCH), strict=True):
        scores = np.einsum("qd,qkd->qk", queries, data.vectors[np.maximum(rows, 0)])
        parts.append(-np.sort(np.where(rows < 0, np.float32(1), -scores), axis=1)[:, :K])
    return np.concatenate(parts)


if __name__ == "__main__":
    main()
