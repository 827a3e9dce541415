"""How well and how fast is an index searched? Ours against exact search, bare USearch and FAISS.

Queries come in batches of 100, and contestants take turns. Bare USearch searches the very ANN graph that ours has
saved, for as many candidates; FAISS's graph has our numbers and is searched at several widths, so that the two can be
compared at equal recall. Two costs of our layer are measured apart: rescoring with the full-precision vectors, and
fetching texts.

    python -m benchmarks.search.recall real             real sentences
    python -m benchmarks.search.recall 100k             100,000 made-up vectors in clusters
    python -m benchmarks.search.recall 1m               1,000,000 of them; building takes half an hour on two cores
    python -m benchmarks.search.recall 1m --build-only  builds what is missing, and measures nothing else
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcse_engine import Index
from simcse_engine.index.ann.scheme import Scheme, quantized
from simcse_engine.index.limits import SearchLimits
from simcse_engine.index.search.searcher import SearchOptions
from simcse_engine.machine.cpu import usable_cpus

from ..record import write_result
from ..statistics import Ratio, rates
from ..turns import alternate, timed
from .built import LIMITS, built, opened
from .data import BATCH, NAMES, Data, K, Vectors, load
from .faiss_index import Way, faiss_ways

# Of the largest, the most and the least likely to be used: each graph takes minutes.
DTYPES = {"real": ("f16", "i8", "f32", "bf16"), "100k": ("f16", "i8", "f32"), "1m": ("f16", "i8")}
ROUNDS = {"real": 10, "100k": 5, "1m": 3}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", choices=NAMES)
    parser.add_argument("--build-only", action="store_true")
    parser.add_argument("--no-faiss", action="store_true", help="leave FAISS out, whose graph takes as long to build")
    arguments = parser.parse_args()
    for name in arguments.data:
        data = load(name)
        print(f"\n{data.about}", flush=True)
        folders, facts = {}, {}
        for dtype in DTYPES[name]:
            folders[dtype], facts[f"ours {dtype}"] = built(data, dtype)
        contestants = {} if arguments.no_faiss else faiss_ways(data, facts)
        if not arguments.build_only:
            about = {
                "question": f"recall@{K} and queries a second in batches of {BATCH}; build, open and memory",
                "threads": usable_cpus(),
                "limits": SearchLimits(),
                "scheme": Scheme(dimension=data.vectors.shape[1], dtype="f16"),
                "vectors": data.about,
            }
            write_result(f"search-{name}", about, measure(data, folders, contestants, facts, ROUNDS[name]))


def measure(
    data: Data, folders: dict[str, Path], contestants: dict[str, Way], facts: dict[str, Any], rounds: int
) -> dict[str, Any]:
    """All contestants on one set of vectors."""
    for dtype, folder in folders.items():
        facts[f"ours {dtype}"] |= {"read_only": opened(folder, data)}
    indexes = {dtype: Index(folder, read_only=True, limits=LIMITS) for dtype, folder in folders.items()}
    ways: dict[str, Way] = {}
    # Only the recall of USearch's own k nearest is measured, and only the time of the parts.
    judged: dict[str, Way] = {}
    parts: dict[str, Callable[[Vectors], object]] = {}
    try:
        for dtype, index in indexes.items():
            scheme = Scheme(dimension=data.vectors.shape[1], dtype=dtype)
            ways[f"ours {dtype}"] = partial(scores_of, index)
            parts[f"ours {dtype}, scored, without texts"] = partial(without_texts, index)
            with index._views.reading() as (_, view):
                search = bare(view.ann._graph, data, scheme)
            count = scheme.candidates(K)
            judged[f"usearch {dtype}"] = lambda queries, search=search: cosines(
                queries, data.vectors, search(queries, K)
            )
            parts[f"usearch {dtype}, {count} candidates"] = partial(search, count=count)
        exact = next(iter(indexes.values()))
        ways["ours exact"] = partial(scores_of, exact, exact=True)
        ways["numpy exact"] = lambda queries: np.partition(queries @ data.vectors.T, -K, axis=1)[:, -K:]
        ways |= contestants
        recalls = {
            name: data.recall(np.concatenate([way(q) for q in data.batches()]))
            for name, way in {**ways, **judged}.items()
        }
        timed_ways = {name: timed(way) for name, way in {**ways, **parts}.items()}
        # Exact search of many vectors takes as long as all else together, and needs no rounds to be told apart.
        many = len(data.texts) > 500_000
        slow = {name: timed_ways.pop(name) for name in list(timed_ways) if many and "exact" in name}
        seconds = alternate(timed_ways, [q for _ in range(rounds) for q in data.batches()])
        seconds |= alternate(slow, list(data.batches())[:3])
    finally:
        for index in indexes.values():
            index.close()
    return {
        "built": facts,
        f"recall_at_{K}": recalls,
        "queries_per_second": rates(seconds, BATCH),
        "seconds_over_usearch": {dtype: over_usearch(seconds, dtype, data) for dtype in folders},
    }


def over_usearch(seconds: dict[str, list[float]], dtype: str, data: Data) -> dict[str, Any]:
    """Our time over bare USearch's of as many candidates, and the share of it that is our layer's."""
    count = Scheme(dimension=data.vectors.shape[1], dtype=dtype).candidates(K)
    alone = seconds[f"usearch {dtype}, {count} candidates"]
    parts = {"scored, without texts": f"ours {dtype}, scored, without texts", "all": f"ours {dtype}"}
    ratios = {what: Ratio.of(seconds[name], alone) for what, name in parts.items()}
    return {what: {"ratio": each, "share_of_our_layer": 1 - 1 / each.median} for what, each in ratios.items()}


def bare(graph: Any, data: Data, scheme: Scheme) -> Callable[[Vectors, int], NDArray[np.int64]]:
    """USearch alone on an ANN graph of ours: the rows of the nearest, [queries, count]."""
    # Converted to its type before the clock runs. A batch is a view of all queries, which stay where they are.
    forms = {queries.ctypes.data: quantized(queries, scheme) for queries in data.batches()}
    return lambda queries, count: graph.search(forms[queries.ctypes.data], count, threads=usable_cpus()).keys


def scores_of(index: Index, queries: Vectors, *, exact: bool = False) -> Vectors:
    """A search as users call it: float32 [queries, K]."""
    hits = index.search(queries, K, exact=exact)
    return np.array([[hit.score for hit in each] for each in hits], np.float32)


def without_texts(index: Index, queries: Vectors) -> object:
    """The same search, but for the texts and metadata of its hits."""
    with index._views.reading() as (_, view):
        return index._searcher.nearest(view, None, queries, SearchOptions(k=K, exact=False))


def cosines(queries: Vectors, vectors: Vectors, rows: NDArray[np.int64]) -> Vectors:
    """The scores of rows: float32 [queries, K]."""
    return np.einsum("qd,qkd->qk", queries, vectors[rows])


if __name__ == "__main__":
    main()
