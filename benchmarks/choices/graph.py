"""What an ANN graph costs to build: its metric, the search for vectors that no link leads to, its numbers.

Each variant builds an ANN graph of the same vectors on all threads. Variants take turns, and CPU seconds count: they
hold on a busy machine too. Recall@10 is of the graph's own candidates, as many as are rescored.

    python -m benchmarks.choices.graph                   20,000 made-up vectors in clusters; ten minutes of CPU time
"""

import argparse
import os
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from usearch.compiled import MetricKind, ScalarKind
from usearch.index import Index as USearch

from simcse_engine.index.ann.scheme import Scheme, quantized, scale_for
from simcse_engine.machine.cpu import usable_cpus

from ..record import RESULTS_VARIABLE, TRIAL, write_result
from ..search.data import Data, K, clustered
from ..statistics import Ratio, Spread
from ..turns import alternate

_ROWS, _CLUSTERS = 20_000, 40
_ADDED_AT_ONCE = 1024
_METRICS = {"cosine": MetricKind.Cos, "inner product": MetricKind.IP}


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A way to build an ANN graph."""

    scheme: Scheme
    metric: str  # one of `_METRICS`
    neighbours: int
    # Candidates of the search for each vector that was just added; 0 for no search. A second search, with all
    # candidates, looks for those that it misses.
    looked_for: int

    @property
    def name(self) -> str:
        """As the result's file has it."""
        numbers = f"{self.neighbours} neighbours, {self.scheme.expansion_add} to add"
        return f"{self.scheme.dtype}, {self.metric}, {numbers}, {self.looked_for} to look"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trial", action="store_true")
    arguments = parser.parse_args()
    rows = _ROWS
    if arguments.trial:
        os.environ[RESULTS_VARIABLE], arguments.rounds, rows = str(TRIAL), 1, 4_000
    data = clustered(rows, _CLUSTERS)
    schemes = (Scheme(dimension=384, dtype=dtype) for dtype in ("i8", "f16"))
    ours = [
        Variant(scheme=each, metric="inner product", neighbours=each.connectivity, looked_for=8) for each in schemes
    ]
    variants = [each for base in ours for each in _beside(base)]
    contestants = {each.name: lambda vectors, each=each: _build(vectors, each, data) for each in variants}
    builds = alternate(contestants, [data.vectors] * arguments.rounds)
    rounds = {name: {figure: [build[figure] for build in each] for figure in each[0]} for name, each in builds.items()}
    figures: dict[str, Any] = {}
    for base in ours:
        usual = rounds[base.name]
        for each in _beside(base):
            own = rounds[each.name]
            figures[each.name] = {
                "cpu_seconds": Spread.of(own["cpu_seconds"]),
                "over_ours": Ratio.of(own["cpu_seconds"], usual["cpu_seconds"]),
                "search_cpu_seconds_over_ours": Ratio.of(own["search_cpu_seconds"], usual["search_cpu_seconds"]),
                f"recall_at_{K}": float(np.mean(own["recall"])),
                "unreached": own["unreached"],
            }
    question = "CPU seconds to build an ANN graph, and to search it, beside ours: the first of each dtype"
    write_result("graph", {"question": question, **data.about}, {"variants": figures})


def _beside(ours: Variant) -> list[Variant]:
    """Ours, and variants that differ from it in one respect."""
    other = replace(ours, metric="cosine")
    searches = [replace(ours, looked_for=count) for count in (0, 32, ours.scheme.expansion_search)]
    numbers = {(32, 128), (32, 64), (24, 128), (24, 96), (16, 128)} - {(ours.neighbours, ours.scheme.expansion_add)}
    sizes = [
        replace(ours, neighbours=count, scheme=replace(ours.scheme, expansion_add=added))
        for count, added in sorted(numbers)
    ]
    return [ours, other, *searches, *sizes]


def _build(vectors: NDArray[np.float32], variant: Variant, data: Data) -> dict[str, Any]:
    scheme = variant.scheme
    graph: Any = USearch(
        ndim=scheme.dimension,
        metric=_METRICS[variant.metric],
        dtype=getattr(ScalarKind, scheme.dtype.upper()),
        connectivity=variant.neighbours,
        expansion_add=scheme.expansion_add,
        expansion_search=scheme.expansion_search,
        enable_key_lookups=False,
    )
    scale, unreached = scale_for(vectors, scheme), 0
    forms = quantized(vectors, scheme, scale)
    start = time.process_time()
    for first in range(0, len(forms), _ADDED_AT_ONCE):
        rows = np.arange(first, min(first + _ADDED_AT_ONCE, len(forms)))
        graph.add(rows.astype(np.uint64), forms[rows], threads=usable_cpus())
        for expansion in dict.fromkeys((variant.looked_for, scheme.expansion_search)) if variant.looked_for else ():
            graph.expansion_search = expansion
            # Two at least: of one, USearch returns another type.
            queries = np.resize(rows, max(2, len(rows))) if len(rows) else rows
            if len(queries):
                nearest = graph.search(forms[queries], min(20, expansion), threads=usable_cpus()).keys
                rows = np.unique(queries[~(nearest == queries[:, None]).any(axis=1)])
        unreached += len(rows) if variant.looked_for else 0
    built = time.process_time()
    graph.expansion_search = scheme.expansion_search
    scores = []
    for queries in data.batches():
        nearest = graph.search(quantized(queries, scheme, scale), scheme.candidates(K), threads=usable_cpus()).keys
        scores.append(np.einsum("qd,qkd->qk", queries, vectors[nearest.astype(np.int64)]))
    searched = time.process_time()
    best = -np.sort(-np.concatenate(scores), axis=1)[:, :K]
    return {
        "cpu_seconds": built - start,
        "search_cpu_seconds": searched - built,
        "recall": data.recall(best),
        "unreached": unreached,
    }


if __name__ == "__main__":
    main()
