"""How well and how fast is an index searched? Ours beside FAISS, hnswlib and USearch alone, in turns.

Queries come in batches of 100, then one at a time, then from two threads. The peers' graphs have 32 neighbours,
and are searched at several widths, so that contestants can be compared at equal recall (`curve`). Ours fetches texts;
peers return the numbers of vectors alone. What texts cost is told apart.

    python -m benchmarks.search.recall docs-6k docs-20k docs-100k   real sentences
    python -m benchmarks.search.recall 100k 1m          made-up vectors in clusters
    python -m benchmarks.search.recall 1m --build peers builds what is missing of the peers' graphs (or of ours) alone
    python -m benchmarks.search.recall docs-6k --trial  two rounds, to see that everything works
"""

import argparse
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import cycle, islice
from typing import Any

import numpy as np

from simcse_engine import Index
from simcse_engine.index.limits import SearchLimits
from simcse_engine.index.search.searcher import SearchOptions
from simcse_engine.index.search.team import Team
from simcse_engine.machine.cpu import usable_cpus

from ..record import RESULTS_VARIABLE, TRIAL, write_result
from ..statistics import Ratio, percentiles_ms, rates
from ..turns import alternate, timed
from .built import built, opened
from .curve import read_at
from .data import BATCH, NAMES, Data, K, Vectors, load
from .faiss_index import faiss_ways
from .other_graphs import bare_ways, hnswlib_ways, usearch_ways
from .peers import Way

# hnswlib and USearch's float16 take as long to build as FAISS: once is enough to see where they stand.
_ALL_PEERS = ("docs-100k",)
_ROUNDS = {"docs-6k": 60, "docs-20k": 40, "docs-100k": 40, "100k": 30, "1m": 12}
_SINGLES, _THREADED, _THREAD_ROUNDS = 10, 100, 7
_EQUAL_RECALL = 0.998
# Exact search of more takes as long as all else together.
_MANY = 500_000
# libgomp's threads spin a while after their work.
_PAUSE_SECONDS = 0.002


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", choices=NAMES)
    parser.add_argument("--build", choices=("peers", "ours"))
    parser.add_argument("--rebuild", action="store_true", help="build all anew, where the machine was busy")
    parser.add_argument("--trial", action="store_true")
    arguments = parser.parse_args()
    if arguments.trial:
        os.environ[RESULTS_VARIABLE] = str(TRIAL)
    for name in arguments.data:
        data = load(name)
        print(f"\n{data.about['vectors']}", flush=True)
        facts: dict[str, Any] = {}
        if arguments.rebuild:
            for file in data.folder.glob("*.json"):
                file.unlink()
        if arguments.build == "ours":
            built(data)
        elif arguments.build == "peers":
            peers(name, data, facts)
        else:
            about = {
                "question": f"recall@{K} and speed of a search; build and memory",
                "threads": usable_cpus(),
                "limits": SearchLimits(),
                **data.about,
            }
            write_result(f"search-{name}", about, measure(name, data, facts, trial=arguments.trial))


def peers(name: str, data: Data, facts: dict[str, Any]) -> dict[str, Way]:
    """The peers' ways to search, by name."""
    ways = faiss_ways(data, facts)
    return {**ways, **hnswlib_ways(data, facts), **usearch_ways(data, facts)} if name in _ALL_PEERS else ways


def measure(name: str, data: Data, facts: dict[str, Any], *, trial: bool) -> dict[str, Any]:
    """All contestants on one set of vectors."""
    folder, facts["ours"] = built(data)
    exact = len(data.texts) <= SearchLimits().exact_rows
    facts["ours"] |= {"default": "exact" if exact else "graph"}
    facts["ours"] |= {how: opened(folder, data, exact=how == "exact") for how in ("exact", "graph")}
    with Index(folder, read_only=True) as index:
        ours = {
            f"ours, {how}": Way(partial(index.search, k=K, exact=how == "exact"), _keys) for how in ("exact", "graph")
        }
        ways = {**ours, **bare_ways(index), **peers(name, data, facts)}
        found = {each: data.found(_scores(data, way)) for each, way in ways.items()}
        rounds = 2 if trial else _ROUNDS[name]
        pause = partial(time.sleep, _PAUSE_SECONDS)
        parts = {
            f"{each}, without texts": timed(partial(_without_texts, index, exact="exact" in each)) for each in ours
        }
        calls = {each: timed(way.search) for each, way in ways.items()}
        batches = list(islice(cycle(data.batches()), rounds))
        seconds = alternate({**calls, **parts}, batches, before_turn=pause)
        groups = [data.queries[i : i + _SINGLES] for i in range(0, 2 * BATCH, _SINGLES)]
        single = {each: _one_by_one(way.search) for each, way in ways.items() if "candidates" not in each}
        blocks = alternate(single, groups[: 2 if trial else None], before_turn=pause)
        one = {each: [float(np.median(block)) for block in values] for each, values in blocks.items()}
        with Index(folder, read_only=True) as other:
            # A search that is alone has all processors; so an exact one is also asked with one for each.
            other._searcher._team = Team(1)
            searches = {each: ways[each].search for each in _threaded(ways)}
            searches["ours, exact, on one processor"] = partial(other.search, k=K, exact=True)
            threads = _two_threads(searches, data, trial=trial)
    return {
        "absent": facts.pop("absent", {}),
        "built": facts,
        f"recall_at_{K}": {each: _recall(values) for each, values in found.items()},
        "queries_per_second": rates(seconds, BATCH),
        "one_query_ms": {each: percentiles_ms(values, [50, 99]) for each, values in blocks.items()},
        "queries_of_two_threads_over_one": threads,
        "peer_over_ours": {each: _over(each, found, seconds, one) for each in ours},
    }


def _over(
    ours: str, found: Mapping[str, Any], seconds: Mapping[str, list[float]], one: Mapping[str, list[float]]
) -> dict[str, Any]:
    """The time of FAISS over ours, with its candidates for equal recall."""
    ratios: dict[str, Any] = {}
    if "faiss flat" in seconds:
        ratios["faiss flat"] = {
            "batch": Ratio.of(seconds["faiss flat"], seconds[ours]),
            "one": Ratio.of(one["faiss flat"], one[ours]),
        }
    widths = {int(each.rpartition(" ")[2]): each for each in seconds if each.startswith("faiss hnsw")}
    recalls = {width: float(np.mean(found[each])) for width, each in widths.items()}
    # At the least that our recall may be, to FAISS's advantage, and at one that graphs are used at.
    recall = _recall(found[ours])["low"]
    for what, wanted in {"at our recall": recall, f"at {_EQUAL_RECALL}": _EQUAL_RECALL}.items():
        if widths:
            read = read_at(wanted, recalls, {width: seconds[each] for width, each in widths.items()})
            alone = read_at(wanted, recalls, {width: one[each] for width, each in widths.items() if each in one})
            ratios[f"faiss hnsw {what}"] = {
                "recall": read.recall,
                "candidates": read.candidates,
                "batch": Ratio.of(read.seconds, seconds[ours]),
                "one": Ratio.of(alone.seconds, one[ours]),
            }
    return ratios


def _scores(data: Data, way: Way) -> Vectors:
    """The cosines of what is found, [QUERIES, K]; one that is missing has -1."""
    rows = np.concatenate([np.asarray(way.rows(way.search(queries)), np.int64) for queries in data.batches()])
    scores = np.einsum("qd,qkd->qk", data.queries, data.vectors[np.maximum(rows, 0)])
    return np.where(rows < 0, np.float32(-1), scores)


def _recall(found: np.ndarray) -> dict[str, float]:
    """The mean, its 95 % interval over queries, and the share of queries that find less than half."""
    means = np.random.default_rng(0).choice(found, (1_000, len(found))).mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return {"mean": found.mean(), "low": low, "high": high, "lost": float(np.mean(found < 0.5))}


def _keys(hits: list[list[Any]]) -> np.ndarray:
    return np.array([[hit.key for hit in each] for each in hits])


def _without_texts(index: Index, queries: Vectors, *, exact: bool) -> object:
    """The same search, but for the texts and metadata of its hits."""
    with index._searcher._team.searching(), index._views.reading(ann=not exact) as (_, view):
        return index._searcher.nearest(view, None, queries, SearchOptions(k=K, exact=exact))


def _one_by_one(search: Callable[[Vectors], Any]) -> Callable[[Vectors], list[float]]:
    """The seconds of each query's search, one after the other."""
    measure = timed(search)
    return lambda queries: [measure(queries[i : i + 1]) for i in range(len(queries))]


def _threaded(ways: Mapping[str, Way]) -> list[str]:
    return [name for name in ways if name.startswith("ours") or name == "faiss hnsw, 128"]


def _two_threads(searches: Mapping[str, Callable[[Vectors], Any]], data: Data, *, trial: bool) -> dict[str, Ratio]:
    """How many searches for one query two threads do in the time of one thread's."""
    count = 10 if trial or len(data.texts) > _MANY else _THREADED
    shares = [[data.queries[i : i + 1] for i in range(first, first + count)] for first in (0, count)]

    def work(search: Callable[[Vectors], Any], queries: list[Vectors]) -> None:
        for query in queries:
            search(query)

    with ThreadPoolExecutor(2) as pool:

        def two(search: Callable[[Vectors], Any]) -> None:
            list(pool.map(partial(work, search), shares))

        def both(name: str, _: int) -> tuple[float, float]:
            search = searches[name]
            return timed(partial(work, search))(shares[0]), timed(two)(search)

        calls = {name: partial(both, name) for name in searches}
        seconds = alternate(calls, range(2 if trial else _THREAD_ROUNDS))
    return {
        name: Ratio.of([2 * alone for alone, _ in each], [together for _, together in each])
        for name, each in seconds.items()
    }


if __name__ == "__main__":
    main()
