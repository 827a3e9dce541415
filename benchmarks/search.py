"""How well and how fast is an index searched? Ours against exact search, bare USearch and FAISS.

Recall@10 counts scores, so that it does not matter which of two equal vectors is found. Queries come in batches of 100,
and contestants take turns. What our layer costs beside USearch is told apart: scoring with the full-precision vectors,
and fetching texts.

    benchmarks/search.py                  real sentences, and 100,000 made-up vectors in clusters
    benchmarks/search.py --million        1,000,000 of them as well, which takes half an hour on two cores
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness import Ratio, Spread, alternate, timed, write_result
from inputs import BENCH, minilm, sentences
from simcse_engine import Encoder, Index
from simcse_engine.cpu import usable_cpus
from simcse_engine.index.neighbours import Neighbours, Scheme
from simcse_engine.index.view import SearchLimits, nearest

Vectors = NDArray[np.float32]

K, BATCH, BATCHES, ROUNDS = 10, 100, 5, 5
DTYPES = ("f16", "i8", "f32")
CLUSTERS, SPREAD = 2_000, 0.6
ADDED_AT_ONCE = 50_000
# A graph whatever the size: where exact search is quicker is one of the questions.
LIMITS = SearchLimits(exact_rows=0)

# Opens an index, searches it once, and tells how long that took and what memory.
OPENER = """
import json, sys, time
import numpy as np
from simcse_engine import Index
queries = np.load(sys.argv[2])
start = time.perf_counter()
index = Index.open(sys.argv[1], read_only=True)
opened = time.perf_counter()
index.search(queries[:1], 10, exact=False)
searched = time.perf_counter()
status = open("/proc/self/status").read() if sys.platform == "linux" else "VmHWM: nan"
peak = float(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6
print(json.dumps({"open": opened - start, "first_search": searched - opened, "peak_mb": peak}))
"""


@dataclass(frozen=True, kw_only=True)
class Data:
    """What is searched.

    Attributes:
        about: for the result's file.
        vectors: float32 [n, dimension], unit vectors.
        texts: one for each.
        queries: float32 [BATCHES * BATCH, dimension].
    """

    about: str
    vectors: Vectors
    texts: list[str]
    queries: Vectors

    def truth(self) -> Vectors:
        """The scores of each query's K nearest: float32 [queries, K], best first."""
        found = []
        for start in range(0, len(self.queries), BATCH):
            scores = self.queries[start : start + BATCH] @ self.vectors.T
            found.append(-np.sort(-np.partition(scores, -K, axis=1)[:, -K:], axis=1))
        return np.concatenate(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--million", action="store_true")
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=list(DTYPES))
    asked = parser.parse_args()
    sizes = [100_000, *([1_000_000] if asked.million else [])]
    found = {"real": measure(real(), asked.dtypes)}
    for size in sizes:
        # Of a million, the default alone: each graph takes minutes.
        found[f"clustered-{size}"] = measure(clustered(size), asked.dtypes if size < 1_000_000 else asked.dtypes[:1])
    write_result(
        "search",
        {
            "question": f"recall@{K} and queries a second in batches of {BATCH}; build, open and memory",
            "threads": usable_cpus(),
            "limits": SearchLimits(),
            "scheme": Scheme(dimension=384, dtype="f16"),
            "searched": found,
        },
    )


def real() -> Data:
    """Real sentences' vectors: MiniLM's, some of them as queries only."""
    texts = sentences()
    with Encoder(minilm(), truncate="silent") as encoder:
        vectors = encoder.encode(texts.texts)
    count = BATCHES * BATCH
    return Data(
        about=f"MiniLM's vectors; {texts.source}; {count} of them are the queries",
        vectors=vectors[count:],
        texts=texts.texts[count:],
        queries=vectors[:count],
    )


def clustered(size: int) -> Data:
    """Made-up vectors of MiniLM's width around so many centres, and queries of the same kind."""
    random, dimension, count = np.random.default_rng(0), 384, BATCHES * BATCH
    centres = random.standard_normal((CLUSTERS, dimension), np.float32)
    vectors = np.empty((size + count, dimension), np.float32)
    for start in range(0, len(vectors), ADDED_AT_ONCE):
        part = vectors[start : start + ADDED_AT_ONCE]
        part[:] = centres[random.integers(0, CLUSTERS, len(part))]
        part += SPREAD * random.standard_normal(part.shape, np.float32)
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    texts = [f"entry {i}" for i in range(size)]
    about = f"{size:,} normal vectors around {CLUSTERS:,} centres, spread {SPREAD} of the centres'"
    return Data(about=about, vectors=vectors[count:], texts=texts, queries=vectors[:count])


def measure(data: Data, dtypes: list[str]) -> dict[str, Any]:
    """Everybody on one set of vectors."""
    print(f"\n{data.about}", flush=True)
    truth, dimension = data.truth(), data.vectors.shape[1]
    facts: dict[str, Any] = {"vectors": data.about}
    ways: dict[str, Callable[[Vectors], Vectors]] = {"numpy exact": lambda queries: best(queries @ data.vectors.T)}
    parts: dict[str, Callable[[Vectors], object]] = {}
    folder = BENCH / "search"
    shutil.rmtree(folder, ignore_errors=True)
    indexes = []
    try:
        for dtype in dtypes:
            facts[f"ours {dtype}"] = build(folder / dtype, data, dtype)
            indexes.append(index := Index(folder / dtype, limits=LIMITS))
            ways[f"ours {dtype}"] = lambda queries, index=index: scores_of(index, queries)
            parts[f"ours {dtype}, scored, without texts"] = lambda queries, index=index: without_texts(index, queries)
            scheme = Scheme(dimension=dimension, dtype=dtype)
            facts[f"usearch {dtype}"], bare = bare_usearch(scheme, data.vectors)
            wanted = scheme.candidates(K)
            parts[f"usearch {dtype}, {wanted} candidates"] = lambda queries, bare=bare, wanted=wanted: bare.search(
                queries, wanted, threads=usable_cpus()
            )
            ways[f"usearch {dtype}"] = lambda queries, bare=bare: cosines(
                queries, data.vectors, bare.search(queries, K, threads=usable_cpus())[0]
            )
        ways["ours exact"] = lambda queries, index=indexes[0]: scores_of(index, queries, exact=True)
        for name, built, search in faiss_contestants(data):
            facts[name] = built
            ways[name] = search
        recalls = {name: recall(np.concatenate([way(q) for q in batches(data)]), truth) for name, way in ways.items()}
        timed_ways = {name: timed(way) for name, way in {**ways, **parts}.items()}
        seconds = alternate(timed_ways, [q for _ in range(ROUNDS) for q in batches(data)])
    finally:
        for index in indexes:
            index.close()
    rates = {name: Spread.of([BATCH / s for s in each]) for name, each in seconds.items()}
    for name, rate in rates.items():
        said = f"recall@{K} {recalls[name]:.4f}, " if name in recalls else ""
        print(f"{name:36} {said}{rate.median:,.0f} queries/s", flush=True)
    over = {}
    for dtype in dtypes:
        wanted = Scheme(dimension=dimension, dtype=dtype).candidates(K)
        bare = seconds[f"usearch {dtype}, {wanted} candidates"]
        over[dtype] = {
            "scored, without texts": Ratio.of(seconds[f"ours {dtype}, scored, without texts"], bare),
            "with texts": Ratio.of(seconds[f"ours {dtype}"], bare),
        }
        print(f"ours {dtype} over bare USearch of as many candidates: {over[dtype]['scored, without texts']}")
    shutil.rmtree(folder)
    return {**facts, f"recall_at_{K}": recalls, "queries_per_second": rates, "seconds_over_usearch": over}


def batches(data: Data) -> Iterator[Vectors]:
    for start in range(0, len(data.queries), BATCH):
        yield data.queries[start : start + BATCH]


def build(folder: Path, data: Data, dtype: str) -> dict[str, Any]:
    """Fill an index, close it, and open it in a fresh process."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    Index.create(folder, minilm(), dtype=dtype).close()
    with Index(folder, limits=LIMITS) as index:
        for first in range(0, len(data.texts), ADDED_AT_ONCE):
            part = slice(first, first + ADDED_AT_ONCE)
            index.add_vectors(data.vectors[part], data.texts[part])
        added = time.perf_counter()
        index.checkpoint()
    built = time.perf_counter()
    with tempfile.TemporaryDirectory() as queries:
        np.save(Path(queries, "queries.npy"), data.queries)
        command = [sys.executable, "-c", OPENER, folder, Path(queries, "queries.npy")]
        opened = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    size = sum(path.stat().st_size for path in folder.iterdir())
    facts = {"add_seconds": added - start, "graph_seconds": built - added, "size_mb": size / 1e6}
    facts |= {"read_only": json.loads(opened.stdout)}
    print(f"ours {dtype}: {facts}", flush=True)
    return facts


def bare_usearch(scheme: Scheme, vectors: Vectors) -> tuple[dict[str, float], Neighbours]:
    """USearch as our graph has it, without anything around it."""
    bare = Neighbours(scheme)
    start = time.perf_counter()
    for first in range(0, len(vectors), ADDED_AT_ONCE):
        part = vectors[first : first + ADDED_AT_ONCE]
        rows = np.arange(first, first + len(part))
        bare.add(rows, part, covered=first + len(part), threads=usable_cpus())
    return {"build_seconds": time.perf_counter() - start}, bare


def faiss_contestants(data: Data) -> Iterator[tuple[str, dict[str, Any], Callable[[Vectors], Vectors]]]:
    """FAISS's flat index and its HNSW with our graph's numbers, where it is installed."""
    try:
        import faiss
    except ImportError:
        print("absent: faiss: it is not installed; pip install 'simcse-engine[bench]'")
        return
    faiss.omp_set_num_threads(usable_cpus())
    dimension, scheme = data.vectors.shape[1], Scheme(dimension=data.vectors.shape[1], dtype="f32")
    flat = faiss.IndexFlatIP(dimension)
    graph = faiss.IndexHNSWFlat(dimension, scheme.connectivity, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction, graph.hnsw.efSearch = scheme.expansion_add, scheme.expansion_search
    for name, index in (("faiss flat", flat), ("faiss hnsw", graph)):
        start = time.perf_counter()
        index.add(data.vectors)
        facts = {"build_seconds": time.perf_counter() - start, "version": faiss.__version__}
        yield name, facts, lambda queries, index=index: index.search(queries, K)[0]


def scores_of(index: Index, queries: Vectors, *, exact: bool = False) -> Vectors:
    """A search as users call it: float32 [queries, K]."""
    hits = index.search(queries, K, exact=exact)
    return np.array([[hit.score for hit in each] for each in hits], np.float32)


def without_texts(index: Index, queries: Vectors) -> object:
    """The same search, but for the texts and metadata of its hits."""
    with index._snapshots.looking() as (_, view):
        return nearest(
            view,
            queries,
            K,
            chosen=None,
            exact=False,
            threshold=None,
            limits=LIMITS,
            threads=usable_cpus(),
        )


def cosines(queries: Vectors, vectors: Vectors, rows: NDArray[np.int64]) -> Vectors:
    """The scores of found rows: float32 [queries, K]."""
    return np.einsum("qd,qkd->qk", queries, vectors[rows])


def best(scores: Vectors) -> Vectors:
    return np.partition(scores, -K, axis=1)[:, -K:]


def recall(found: Vectors, truth: Vectors) -> float:
    """The share of the K nearest that was found: of scores at least as good as the K-th."""
    return float(np.mean(np.sum(found >= truth[:, -1:] - 1e-6, axis=1).clip(max=K) / K))


if __name__ == "__main__":
    main()
