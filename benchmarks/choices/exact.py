"""From how many vectors on is the ANN graph faster than comparing them all? For one query, and for several at once.

Exact search by int8 codes, which the engine does, beside its ANN graph and beside a plain float32 product in blocks.
`SearchLimits.exact_rows` follows. "coding" is what codes cost: CPU seconds to make them from vectors that are not
checked yet, bytes of memory, and how many rows they leave to be compared by vectors.

    python -m benchmarks.choices.exact                  real sentences' vectors, the first so many of `search.data`
    python -m benchmarks.choices.exact --build          the indexes alone, which are kept
    python -m benchmarks.choices.exact --trial          the smallest size, two rounds
"""

import argparse
import os
import time
from collections.abc import Callable
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from simcse_engine import Index
from simcse_engine.index.limits import SearchLimits
from simcse_engine.index.search.code_scan import scan_codes
from simcse_engine.index.search.codes import BLOCK_ROWS
from simcse_engine.index.search.kernels import search_kernels
from simcse_engine.index.search.team import Team
from simcse_engine.machine.cpu import usable_cpus

from ..record import RESULTS_VARIABLE, TRIAL, write_result
from ..search.built import built
from ..search.data import BATCH, KEPT, QUERIES, Data, K, Vectors, docs
from ..statistics import Ratio, spreads
from ..turns import alternate, timed

SIZES = (5_000, 20_000, 50_000, 100_000, 140_000)
COUNTS = (1, 4, 16, BATCH)
_IN_A_ROW = {1: 8, 4: 4, 16: 2, BATCH: 1}
ROUNDS = 30
_BLOCK_SCORES = 1 << 18


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", action="store_true")
    parser.add_argument("--trial", action="store_true")
    arguments = parser.parse_args()
    if arguments.trial:
        os.environ[RESULTS_VARIABLE] = str(TRIAL)
    vectors, texts, about = docs()
    sizes, rounds = (SIZES[:1], 2) if arguments.trial else (SIZES, ROUNDS)
    measured, coding = {}, {}
    for size in sizes:
        data = Data(
            folder=KEPT / f"docs-first-{size}",
            about=about,
            vectors=vectors[QUERIES : QUERIES + size],
            texts=texts[QUERIES : QUERIES + size],
            queries=np.array(vectors[:QUERIES]),
            truth=np.empty((0, K), np.float32),
        )
        data.folder.mkdir(exist_ok=True)
        folder, _ = built(data)
        if not arguments.build:
            print(f"{size:,} vectors", flush=True)
            measured[size] = _measure(folder, data, rounds)
            coding[size] = _coding(folder, data)
    if measured:
        question = f"seconds to search {K} of so many vectors, for so many queries at once: by codes, graph and floats"
        facts = {"question": question, "vectors": about["source"], "default": SearchLimits().exact_rows}
        write_result("exact", facts, {"sizes": measured, "coding": coding})


def _measure(folder: Path, data: Data, rounds: int) -> dict[str, Any]:
    with Index(folder, read_only=True) as index:
        return {count: _compare(index, data, count, rounds) for count in COUNTS}


def _coding(folder: Path, data: Data) -> dict[str, float]:
    kernels = search_kernels()
    assert kernels is not None, "this CPU has no kernels of ours, and no codes"
    with Index(folder, read_only=True) as index, index._views.reading(ann=False) as (_, view):
        whole = view.rows // BLOCK_ROWS
        start = time.process_time()
        coded = view.codes.of(view.vectors, np.ones(whole, np.bool_), Team(usable_cpus()))
        seconds = time.process_time() - start
        every = np.ones(whole * BLOCK_ROWS, np.bool_)
        found = scan_codes(kernels, [coded], data.queries[:BATCH], K, eligible=every, threads=usable_cpus())
        assert found is not None, "codes cannot tell these vectors apart"
        arrays = (coded.codes, coded.scales, coded.rests, coded.lengths)
        return {
            "cpu_seconds": seconds,
            "bytes_a_vector": sum(array.nbytes for array in arrays) / (whole * BLOCK_ROWS),
            "left_a_query": len(found.rows) / BATCH,
        }


def _compare(index: Index, data: Data, count: int, rounds: int) -> dict[str, Any]:
    floats = np.array(data.vectors)
    ways = {
        "codes": timed(partial(_each, partial(index.search, k=K, exact=True))),
        "graph": timed(partial(_each, partial(index.search, k=K, exact=False))),
        "floats": timed(partial(_each, partial(_scan, floats))),
    }
    # Several in a row, as callers ask them: the first finds the caches as another way has left them.
    groups = cycle(data.queries[start : start + count] for start in range(0, 16 * count, count))
    seconds = alternate(ways, [list(islice(groups, _IN_A_ROW[count])) for _ in range(rounds)])
    seconds = {name: [each / _IN_A_ROW[count] for each in values] for name, values in seconds.items()}
    return {
        "seconds": spreads(seconds),
        "over_codes": {name: Ratio.of(seconds[name], seconds["codes"]) for name in ("graph", "floats")},
    }


def _each(search: Callable[[Vectors], object], groups: list[Vectors]) -> None:
    for queries in groups:
        search(queries)


def _scan(vectors: Vectors, queries: Vectors) -> Vectors:
    """The scores of the K nearest by float32 products alone, a block of rows at a time: neither texts nor keys."""
    best = np.full((len(queries), K), -1, np.float32)
    size = max(1, _BLOCK_SCORES // len(queries))
    for start in range(0, len(vectors), size):
        scores = queries @ vectors[start : start + size].T
        best = np.partition(np.concatenate([best, scores], axis=1), -K, axis=1)[:, -K:]
    return best


if __name__ == "__main__":
    main()
