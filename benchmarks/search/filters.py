"""What does a filter cost? Its first use, when SQLite evaluates it for every entry, and the later ones, which remember.

python -m benchmarks.search.filters 100k            the index that recall.py has built of 100,000 made-up vectors
python -m benchmarks.search.filters 1m              of 1,000,000
"""

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from simcse_engine import Index

from ..harness import Spread, write_result
from .built import built
from .data import BATCH, NAMES, Data, K, load

ROUNDS = 5
# Every entry has its number, and a year of 25. By the share that they let through.
FILTERS: dict[str, Mapping[str, Any]] = {
    "a thousand entries": {"n": {"$lt": 1000}},
    "4 %": {"year": 2003},
    "20 %": {"year": {"$in": [2000, 2001, 2002, 2003, 2004]}},
    "60 %": {"year": {"$gte": 2010}},
    "60 % by two conditions": {"year": {"$gte": 2010}, "n": {"$gte": 0}},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=[name for name in NAMES if name != "real"])
    asked = parser.parse_args()
    data = load(asked.data)
    folder, _ = built(data, "f16")
    queries = next(data.batches())
    found = {"no filter": _measure(folder, queries, None)}
    found |= {name: _measure(folder, queries, where) for name, where in FILTERS.items()}
    for name, figures in found.items():
        figures["recall"] = _recall(folder, data, FILTERS.get(name))
        print(f"{name:24} {figures}", flush=True)
    question = f"seconds of one query's search under a filter, first and later, and of {BATCH} queries' together"
    write_result(f"filters-{asked.data}", {"question": question, "vectors": data.about, "filters": found})


def _measure(folder: Path, queries: np.ndarray, where: Mapping[str, Any] | None) -> dict[str, Any]:
    first, later, many = [], [], []
    for _ in range(ROUNDS):
        # Opened anew, so that nothing is remembered; the graph is checked before the clock runs.
        with Index.open(folder, read_only=True) as index:
            index.search(queries, K)
            for seconds, group in ((first, queries[:1]), (later, queries[:1]), (many, queries)):
                start = time.perf_counter()
                index.search(group, K, where=where)
                seconds.append(time.perf_counter() - start)
    return {"first": Spread.of(first), "later": Spread.of(later), "batch": Spread.of(many)}


def _recall(folder: Path, data: Data, where: Mapping[str, Any] | None) -> float:
    """The share of what an exact search finds."""
    with Index.open(folder, read_only=True) as index:
        queries = next(data.batches())[:50]
        truth = index.search(queries, K, where=where, exact=True)
        hits = index.search(queries, K, where=where)
    pairs = zip(hits, truth, strict=True)
    return float(np.mean([len({hit.key for hit in h} & {hit.key for hit in t}) / K for h, t in pairs]))


if __name__ == "__main__":
    main()
