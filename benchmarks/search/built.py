"""Our indexes for the search benchmarks, each built in a process of its own and kept in `.bench/` with what it took."""

import inspect
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from simcse_engine import Index
from simcse_engine.index.ann.scheme import Scheme
from simcse_engine.index.limits import SearchLimits

from ..inputs import MINILM
from ..record import plain
from .data import Data

# An ANN graph at any size: one of the questions is where exact search is faster.
LIMITS = SearchLimits(exact_rows=0)
DTYPE: str = inspect.signature(Index.create).parameters["dtype"].default

_ADDED_AT_ONCE = 50_000

# Opens an index, searches it twice for one query, and for all queries in batches of 100. Prints the seconds, and the
# bytes that were there more than before: of the process alone, and of files that are mapped.
_OPENER = """
import json, sys, time
import numpy as np
from simcse_engine import Index
def held():
    if sys.platform != "linux":
        return [float("nan")] * 2
    status = open("/proc/self/status").read()
    return [float(status.split(name)[1].split()[0]) * 1024 for name in ("RssAnon:", "RssFile:")]
queries, exact = np.load(sys.argv[2]), json.loads(sys.argv[3])
# Of another index, so that what is imported late is there.
with Index.open(sys.argv[4], read_only=True) as other:
    other.search(queries[:100], 10, exact=exact)
before = held()
start = time.perf_counter()
index = Index.open(sys.argv[1], read_only=True)
opened = time.perf_counter()
index.search(queries[:1], 10, exact=exact)
searched = time.perf_counter()
index.search(queries[1:2], 10, exact=exact)
again = time.perf_counter()
for first in range(0, len(queries), 100):
    index.search(queries[first:first + 100], 10, exact=exact)
own, mapped = (after - each for after, each in zip(held(), before))
print(json.dumps({
    "open_seconds": opened - start,
    "first_search_seconds": searched - opened,
    "second_search_seconds": again - searched,
    "anonymous_bytes_a_vector": own / len(index),
    "mapped_bytes_a_vector": mapped / len(index),
}))
"""


def built(data: Data) -> tuple[Path, dict[str, Any]]:
    """The folder of an index of the default dtype, and what it took to build."""
    scheme = Scheme(dimension=data.vectors.shape[1], dtype=DTYPE)
    numbers = plain(scheme) | {"connectivity": scheme.connectivity}
    folder, file = data.folder / "ours", data.folder / "ours.json"
    facts = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    # A graph of another scheme would be searched with this one's numbers.
    if facts.get("scheme") != numbers:
        shutil.rmtree(folder, ignore_errors=True)
        source = data.folder / "source"
        source.mkdir(exist_ok=True)
        np.save(source / "vectors.npy", data.vectors)
        (source / "texts.json").write_text(json.dumps(data.texts), encoding="utf-8")
        subprocess.run([sys.executable, "-m", __spec__.name, folder, source, file], check=True)
        shutil.rmtree(source)
        facts = json.loads(file.read_text(encoding="utf-8")) | {"scheme": numbers}
        file.write_text(json.dumps(facts), encoding="utf-8")
    return folder, facts


def opened(folder: Path, data: Data, *, exact: bool) -> dict[str, float]:
    """What opening the index for reading and searching it costs a fresh process."""
    other, queries = data.folder / "small", data.folder / "queries.npy"
    shutil.rmtree(other, ignore_errors=True)
    Index.create(other, MINILM.artifact("int8")).close()
    with Index(other, limits=LIMITS) as index:
        index.add_vectors(np.array(data.vectors[:100]), data.texts[:100])
        index.checkpoint()
    np.save(queries, data.queries)
    command = [sys.executable, "-c", _OPENER, folder, queries, json.dumps(exact), other]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def _build(folder: Path, source: Path) -> dict[str, Any]:
    vectors, texts = np.load(source / "vectors.npy", "r"), json.loads((source / "texts.json").read_text("utf-8"))
    start, cpu = time.perf_counter(), time.process_time()
    Index.create(folder, MINILM.artifact("int8")).close()
    with Index(folder, limits=LIMITS) as index:
        for first in range(0, len(texts), _ADDED_AT_ONCE):
            part = slice(first, min(first + _ADDED_AT_ONCE, len(texts)))
            metadata = [{"n": n, "percent": n % 100} for n in range(part.start, part.stop)]
            index.add_vectors(np.array(vectors[part]), texts[part], metadata=metadata)
            print(f"{folder}: {part.stop:,} in {time.perf_counter() - start:,.0f} s", flush=True)
        index.checkpoint()
    facts = {"build_seconds": time.perf_counter() - start, "build_cpu_seconds": time.process_time() - cpu}
    kinds = {"vectors": "vectors-*", "graph": "graph-*", "codes": "codes-*", "database": "index.db*"}
    sizes = {kind: sum(path.stat().st_size for path in folder.glob(pattern)) for kind, pattern in kinds.items()}
    return facts | {f"{kind}_bytes_a_vector": size / len(texts) for kind, size in sizes.items() if size}


if __name__ == "__main__":
    target, source, facts_file = map(Path, sys.argv[1:])
    facts_file.write_text(json.dumps(_build(target, source)), encoding="utf-8")
