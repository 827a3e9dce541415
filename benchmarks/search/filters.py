"""What does a filter cost? First, when SQLite evaluates it for every entry, and later, when the result is remembered.

python -m benchmarks.search.filters 100k            the index that recall.py has built of 100,000 made-up vectors
python -m benchmarks.search.filters 1m              of 1,000,000
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from simcse_engine import Index

from ..record import write_result
from ..statistics import spreads
from ..turns import timed
from .built import built
from .data import BATCH, NAMES, Data, K, load

ROUNDS = 5
# By the share that they let through: every entry has its number, and one of 25 years.
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
    arguments = parser.parse_args()
    data = load(arguments.data)
    folder, _ = built(data, "f16")
    queries = next(data.batches())
    figures = {
        name: {**_measure(folder, queries, where), "recall": _recall(folder, data, where)}
        for name, where in {"no filter": None, **FILTERS}.items()
    }
    question = f"seconds of one query's search under a filter, first and later, and of {BATCH} queries' together"
    write_result(f"filters-{arguments.data}", {"question": question, "vectors": data.about}, {"filters": figures})


def _measure(folder: Path, queries: np.ndarray, where: Mapping[str, Any] | None) -> dict[str, Any]:
    seconds: dict[str, list[float]] = {"first": [], "later": [], "batch": []}
    for _ in range(ROUNDS):
        # Opened again, so that nothing is remembered; the ANN graph is checked before the clock runs.
        with Index.open(folder, read_only=True) as index:
            index.search(queries, K)
            search = timed(lambda group, index=index: index.search(group, K, where=where))
            for name, group in (("first", queries[:1]), ("later", queries[:1]), ("batch", queries)):
                seconds[name].append(search(group))
    return spreads(seconds)


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
