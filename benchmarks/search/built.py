"""Indexes for the search benchmarks, each built in a process of its own and kept in `.bench/` with what it took."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from simcse_engine import Index
from simcse_engine.index.limits import SearchLimits

from ..inputs import MINILM
from .data import Data

# Always the ANN graph: one of the questions is where exact search is faster.
LIMITS = SearchLimits(exact_rows=0)

_ADDED_AT_ONCE = 50_000

# Opens an index and searches it twice. Prints the seconds and the memory: the peak, which counts mapped pages of files,
# and what belongs to the process alone.
_OPENER = """
import json, sys, time
import numpy as np
from simcse_engine import Index
queries = np.load(sys.argv[2])
start = time.perf_counter()
index = Index.open(sys.argv[1], read_only=True)
opened = time.perf_counter()
index.search(queries[:1], 10, exact=False)
searched = time.perf_counter()
index.search(queries[1:2], 10, exact=False)
again = time.perf_counter()
status = open("/proc/self/status").read() if sys.platform == "linux" else "VmHWM: nan RssAnon: nan"
peak, own = (float(status.split(name)[1].split()[0]) * 1024 / 1e6 for name in ("VmHWM:", "RssAnon:"))
print(json.dumps({
    "open_seconds": opened - start,
    "first_search_seconds": searched - opened,
    "second_search_seconds": again - searched,
    "peak_mb": peak,
    "anonymous_mb": own,
}))
"""


def built(data: Data, dtype: str) -> tuple[Path, dict[str, Any]]:
    """The index's folder, and what it took to build; built where it is missing."""
    folder, facts = data.folder / dtype, data.folder / f"{dtype}.json"
    if not facts.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        texts = data.folder / "texts.json"
        texts.write_text(json.dumps(data.texts), encoding="utf-8")
        subprocess.run([sys.executable, "-m", __spec__.name, folder, data.folder, dtype, facts], check=True)
    return folder, json.loads(facts.read_text(encoding="utf-8"))


def opened(folder: Path, data: Data) -> dict[str, float]:
    """What opening the index for reading costs a fresh process."""
    command = [sys.executable, "-c", _OPENER, folder, data.folder / "queries.npy"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def _build(folder: Path, source: Path, dtype: str) -> dict[str, Any]:
    vectors, texts = np.load(source / "vectors.npy", "r"), json.loads((source / "texts.json").read_text("utf-8"))
    start, cpu = time.perf_counter(), time.process_time()
    Index.create(folder, MINILM.artifact(), dtype=dtype).close()
    with Index(folder, limits=LIMITS) as index:
        for first in range(0, len(texts), _ADDED_AT_ONCE):
            part = slice(first, min(first + _ADDED_AT_ONCE, len(texts)))
            metadata = [{"n": n, "year": 2000 + n % 25} for n in range(part.start, part.stop)]
            index.add_vectors(np.array(vectors[part]), texts[part], metadata=metadata)
            print(f"{dtype}: {part.stop:,} in {time.perf_counter() - start:,.0f} s", flush=True)
        index.checkpoint()
    facts = {"build_seconds": time.perf_counter() - start, "build_cpu_seconds": time.process_time() - cpu}
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        for name, field in (("build_peak_mb", "VmHWM:"), ("build_anonymous_mb", "RssAnon:")):
            facts[name] = float(status.split(field)[1].split()[0]) * 1024 / 1e6
    kinds = {"vectors": "vectors-*", "graph": "graph-*", "database": "index.db*"}
    facts |= {f"{kind}_mb": sum(path.stat().st_size for path in folder.glob(p)) / 1e6 for kind, p in kinds.items()}
    return facts


if __name__ == "__main__":
    target, source, dtype, facts_file = sys.argv[1:]
    Path(facts_file).write_text(json.dumps(_build(Path(target), Path(source), dtype)), encoding="utf-8")
