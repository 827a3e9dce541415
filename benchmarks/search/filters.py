"""What does a filter cost? Beside our own exact search without one, in batches of 100 and for one query, in turns.

The first search under a filter has SQLite evaluate it for every entry; the result is remembered. That one is timed
apart, in an index that was just opened.

    python -m benchmarks.search.filters docs-100k 1m    the indexes that `recall` has built
    python -m benchmarks.search.filters docs-6k --trial two rounds, to see that everything works
"""

import argparse
import os
from collections.abc import Mapping
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from simcse_engine import Index

from ..record import RESULTS_VARIABLE, TRIAL, write_result
from ..statistics import Ratio, Spread, spreads
from ..turns import alternate, timed
from .built import built
from .data import NAMES, Data, K, Vectors, load

ROUNDS, _FIRSTS, _JUDGED = 20, 3, 3
PERCENTS = (1, 11, 25, 50, 90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", choices=NAMES)
    parser.add_argument("--trial", action="store_true")
    arguments = parser.parse_args()
    if arguments.trial:
        os.environ[RESULTS_VARIABLE] = str(TRIAL)
    for name in arguments.data:
        data = load(name)
        folder, _ = built(data)
        question = f"what a filter costs: {K} of those that it lets through, beside an exact search without it"
        rounds = 2 if arguments.trial else ROUNDS
        write_result(f"filters-{name}", {"question": question, **data.about}, _measure(folder, data, rounds))


def _measure(folder: Path, data: Data, rounds: int) -> dict[str, Any]:
    filters: dict[int, Mapping[str, Any]] = {percent: {"percent": {"$lt": percent}} for percent in PERCENTS}
    firsts = {
        percent: Spread.of([_first(folder, data, where) for _ in range(_FIRSTS)]) for percent, where in filters.items()
    }
    with Index(folder, read_only=True) as index:
        ways = {str(percent): partial(index.search, k=K, where=where) for percent, where in filters.items()}
        ways |= {"exact": partial(index.search, k=K, exact=True), "none": partial(index.search, k=K)}
        recalls = {percent: _recall(index, data, where) for percent, where in filters.items()}
        calls = {name: timed(way) for name, way in ways.items()}
        seconds = {
            "batch": alternate(calls, islice(cycle(data.batches()), rounds)),
            "one": alternate(calls, [data.queries[i : i + 1] for i in range(5 * rounds)]),
        }
    return {
        "first_seconds": firsts,
        "recall": recalls,
        **{f"{how}_seconds": spreads(each) for how, each in seconds.items()},
        **{
            f"{how}_over_exact_without": {
                name: Ratio.of(values, each["exact"]) for name, values in each.items() if name != "exact"
            }
            for how, each in seconds.items()
        },
    }


def _first(folder: Path, data: Data, where: Mapping[str, Any]) -> float:
    """Seconds of the first search under a filter, for one query."""
    with Index.open(folder, read_only=True) as index:
        index.search(data.queries[:1], K)  # whatever else a first search does
        return timed(partial(index.search, k=K, where=where))(data.queries[1:2])


def _recall(index: Index, data: Data, where: Mapping[str, Any]) -> float:
    """The share of what an exact search under the filter finds."""

    def scores(queries: Vectors, exact: bool | None) -> np.ndarray:
        return np.array([[hit.score for hit in each] for each in index.search(queries, K, where=where, exact=exact)])

    batches = list(islice(data.batches(), _JUDGED))
    pairs = [(scores(queries, None), scores(queries, True)) for queries in batches]
    return float(np.mean([np.mean(found >= truth[:, -1:] - 1e-6) for found, truth in pairs]))


if __name__ == "__main__":
    main()
