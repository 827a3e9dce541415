"""What an ANN graph costs to build and search, and what it finds: its links, its candidates, its numbers.

Each variant builds an ANN graph of the same real sentences' vectors on all threads. Variants take turns, and CPU
seconds count: they hold on a busy machine too. Recall@10 is of the graph's candidates, once they are scored.

Then, without a graph, what rounding to i8 alone loses, by its scale: among real vectors, among such of which a few
dimensions stand out, and among such that all lie close together.

    python -m benchmarks.choices.graph                   100,000 real sentences; half an hour of CPU time
    python -m benchmarks.choices.graph --trial           10,000, one round
"""

import argparse
import os
import time
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcse_engine.index.ann.graph import AnnGraph
from simcse_engine.index.ann.scheme import Scheme, quantized, scale_for
from simcse_engine.machine.cpu import usable_cpus

from ..record import RESULTS_VARIABLE, TRIAL, write_result
from ..search.data import Data, K, Vectors, load
from ..statistics import Ratio, Spread
from ..turns import alternate

_DATA, _ROUNDS, _TRIAL_ROWS = "docs-100k", 2, 10_000
_ADDED_AT_ONCE = 4096
_WIDTHS = (64, 128, 192, 256, 384)
# Of the numbers of a unit vector, how many standard deviations of a random one become 127.
_CLIPS = (3.0, 6.0, 12.0, 20.0)
_CODED_ROWS, _CODED_QUERIES = 50_000, 200
_OURS = Scheme(dimension=384, dtype="i8")
SCHEMES = {
    "ours": _OURS,
    "f16": replace(_OURS, dtype="f16"),
    "24 neighbours": replace(_OURS, connectivity=24),
    "16 neighbours": replace(_OURS, connectivity=16),
    "96 to add": replace(_OURS, expansion_add=96),
    "64 to add": replace(_OURS, expansion_add=64),
    "24 neighbours, 96 to add": replace(_OURS, connectivity=24, expansion_add=96),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trial", action="store_true")
    trial = parser.parse_args().trial
    data = load(_DATA)
    rows = len(data.vectors)
    if trial:
        os.environ[RESULTS_VARIABLE], rows = str(TRIAL), _TRIAL_ROWS
    vectors = np.array(data.vectors[:rows])
    truth = data.truth if rows == len(data.vectors) else _truth(vectors, data.queries)
    data = replace(data, vectors=vectors, truth=truth)
    contestants = {name: partial(_build, data, scheme) for name, scheme in SCHEMES.items()}
    builds = alternate(contestants, range(1 if trial else _ROUNDS))
    usual = [build["cpu_seconds"] for build in builds["ours"]]
    figures = {}
    for name, each in builds.items():
        seconds = [build["cpu_seconds"] for build in each]
        figures[name] = {
            "cpu_seconds": Spread.of(seconds),
            "over_ours": Ratio.of(seconds, usual),
            "bytes_a_vector": each[0]["bytes_a_vector"],
            "strays": [build["strays"] for build in each],
            "by_width": {
                width: {
                    f"recall_at_{K}": float(np.mean([build["recall"][width] for build in each])),
                    "search_cpu_us_a_query": float(np.median([build["search_us"][width] for build in each])),
                }
                for width in _WIDTHS
            },
        }
    about = {"question": "CPU seconds to build an ANN graph, and what it finds", "vectors": f"{rows:,} of {_DATA}"}
    write_result("graph", about, {"schemes": SCHEMES, "variants": figures, "rounding": _rounding(data)})


def _build(data: Data, scheme: Scheme, _: int) -> dict[str, Any]:
    threads, start, ann = usable_cpus(), time.process_time(), AnnGraph(scheme)
    for first in range(0, len(data.vectors), _ADDED_AT_ONCE):
        part = data.vectors[first : first + _ADDED_AT_ONCE]
        ann.add(np.arange(first, first + len(part)), part, covered=first + len(part), threads=threads)
    built = time.process_time() - start
    recall, search_us = {}, {}
    with ann._lent() as (lent, _covered):
        library: Any = lent._graph
    for width in _WIDTHS:
        library.expansion_search = width
        count, start = scheme.candidates(K), time.process_time()
        found = np.concatenate([ann.search(batch, count, threads=threads)[0] for batch in data.batches()])
        search_us[width] = 1e6 * (time.process_time() - start) / len(found)
        scores = np.concatenate(
            [
                np.einsum("qd,qkd->qk", batch, data.vectors[rows])
                for batch, rows in zip(data.batches(), np.split(found, len(found) // 100), strict=True)
            ]
        )
        recall[width] = data.recall(-np.sort(-scores, axis=1)[:, :K])
    return {
        "cpu_seconds": built,
        "bytes_a_vector": library.serialized_length / len(ann),
        "strays": len(ann.strays),
        "recall": recall,
        "search_us": search_us,
    }


def _rounding(data: Data) -> dict[str, Any]:
    """The recall of the best candidates by rounded vectors alone, by kind of vectors and scale."""
    vectors, queries = data.vectors[:_CODED_ROWS], data.queries[:_CODED_QUERIES]
    factors, common = np.ones(vectors.shape[1], np.float32), np.zeros(vectors.shape[1], np.float32)
    factors[[5, 77, 200]] = 10, 8, 6
    common[::3] = 0.5
    kinds = {
        "real": (vectors, queries),
        "three dimensions 6 to 10 times as large": (_unit(vectors * factors), _unit(queries * factors)),
        "all close together": (_unit(vectors + common), _unit(queries + common)),
    }
    return {kind: _by_scale(*each) for kind, each in kinds.items()}


def _by_scale(vectors: Vectors, queries: Vectors) -> dict[str, dict[int, float]]:
    scheme = replace(_OURS, dimension=vectors.shape[1])
    deviation = 1 / np.sqrt(vectors.shape[1])
    scales: dict[str, float | None] = {f"{clip:g} deviations": float(127 / (clip * deviation)) for clip in _CLIPS}
    scales["ours"] = scale_for(vectors[:_ADDED_AT_ONCE], scheme)
    scores, figures = queries @ vectors.T, {}
    floor = np.partition(scores, -K, axis=1)[:, -K, None] - 1e-6
    for name, scale in scales.items():
        coded = [quantized(each, scheme, scale).astype(np.float32) for each in (queries, vectors)]
        order = _best(coded[0] @ coded[1].T, 30)
        hits = np.take_along_axis(scores, order, axis=1) >= floor
        figures[name] = {count: float(np.mean(hits[:, :count].sum(axis=1).clip(max=K) / K)) for count in (K, 20, 30)}
    return figures


def _best(scores: Vectors, count: int) -> NDArray[np.int64]:
    """The places of the ``count`` best scores of each query, best first."""
    places = np.argpartition(-scores, count, axis=1)[:, :count]
    return np.take_along_axis(places, np.argsort(-np.take_along_axis(scores, places, 1), axis=1), axis=1)


def _truth(vectors: Vectors, queries: Vectors) -> Vectors:
    scores = queries @ vectors.T
    return -np.sort(-np.partition(scores, -K, axis=1)[:, -K:], axis=1)


def _unit(vectors: Vectors) -> Vectors:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


if __name__ == "__main__":
    main()
