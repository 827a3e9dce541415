"""From how many vectors on is the ANN graph faster than comparing them all? For one query, and for several at once.

python -m benchmarks.choices.exact                   the first ones of the 100,000 made-up vectors of `search.recall`
"""

import tempfile
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from simcse_engine import Index
from simcse_engine.index.limits import SearchLimits

from ..inputs import MINILM
from ..record import write_result
from ..search.built import LIMITS
from ..search.data import BATCH, Data, K, load
from ..statistics import Ratio, spreads
from ..turns import alternate, no_options, timed

SIZES = (5_000, 10_000, 15_000, 20_000, 30_000, 40_000)
QUERIES = (1, 4, 16, BATCH)
ROUNDS = 40


def main() -> None:
    no_options(__doc__)
    data = load("100k")
    question = f"seconds to search {K} of so many vectors, for so many queries at once, by the ANN graph and exactly"
    about = {"question": question, "vectors": f"the first of {data.about}", "default": SearchLimits().exact_rows}
    write_result("exact", about, {"sizes": {size: _measure(data, size) for size in SIZES}})


def _measure(data: Data, size: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "index"
        Index.create(folder, MINILM.artifact()).close()
        with Index(folder, limits=LIMITS) as index:
            index.add_vectors(np.array(data.vectors[:size]), data.texts[:size])
            index.checkpoint()
        with Index(folder, read_only=True, limits=LIMITS) as index:
            print(f"{size:,} vectors", flush=True)
            return {queries: _compare(index, data, queries) for queries in QUERIES}


def _compare(index: Index, data: Data, queries: int) -> dict[str, Any]:
    ways = {name: timed(partial(index.search, k=K, exact=name == "exact")) for name in ("graph", "exact")}
    groups = [data.queries[start : start + queries] for start in range(0, len(data.queries) - queries + 1, queries)]
    seconds = alternate(ways, islice(cycle(groups), ROUNDS))
    return {"seconds": spreads(seconds), "graph_over_exact": Ratio.of(seconds["graph"], seconds["exact"])}


if __name__ == "__main__":
    main()
