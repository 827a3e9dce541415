"""What is searched: real sentences' vectors, and made-up ones in clusters; kept in `.bench/`."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcse_engine import Encoder

from ..inputs import MINILM
from ..record import BENCH
from .corpus import collect

Vectors = NDArray[np.float32]

# A query that loses its way in an ANN graph finds none of its ten nearest: two such queries in 500 are the difference
# between a recall of 0.9954 and one of 0.9994.
K, BATCH, QUERIES = 10, 100, 2_000
DOCS = {"docs-6k": 6_000, "docs-20k": 20_000, "docs-100k": 100_000}
MADE_UP = {"100k": 100_000, "1m": 1_000_000}
NAMES = (*DOCS, *MADE_UP)
KEPT = BENCH / "search"
_DIMENSION, _CLUSTERS, _SPREAD = 384, 2_000, 0.6
_PART = 50_000


@dataclass(frozen=True, kw_only=True)
class Data:
    """What is searched."""

    folder: Path  # where it is kept, and what is built from it
    about: dict[str, Any]  # for the result's file
    vectors: Vectors  # [n, dimension], of length 1, mapped from a file
    texts: list[str]  # one for each
    queries: Vectors  # [QUERIES, dimension]
    truth: Vectors  # [QUERIES, K], the scores of each query's nearest, best first

    def batches(self) -> Iterator[Vectors]:
        """The queries, `BATCH` at a time."""
        for start in range(0, len(self.queries), BATCH):
            yield self.queries[start : start + BATCH]

    def found(self, scores: Vectors) -> NDArray[np.float64]:
        """Each query's recall: the share of its scores [QUERIES, K] that are at least as good as the K-th nearest's.

        So it does not matter which of two equal vectors is found.
        """
        return np.sum(scores >= self.truth[:, -1:] - 1e-6, axis=1).clip(max=K) / K

    def recall(self, scores: Vectors) -> float:
        """The mean of all queries' recall."""
        return float(np.mean(self.found(scores)))


def load(name: str) -> Data:
    """One of `NAMES`; made where it is missing."""
    folder = KEPT / name
    folder.mkdir(parents=True, exist_ok=True)
    if name in DOCS:
        made, texts, about = docs()
        queries, vectors = made[:QUERIES], made[QUERIES : QUERIES + DOCS[name]]
        texts = texts[QUERIES : QUERIES + DOCS[name]]
        about = {
            "vectors": f"{len(vectors):,} of MiniLM; {about['source']}; {QUERIES:,} others are the queries",
            **about,
        }
    else:
        about = {"vectors": _about(MADE_UP[name], _CLUSTERS)}
        texts = [f"entry {i}" for i in range(MADE_UP[name])]
        if not (folder / "vectors.npy").is_file():
            queries, vectors = _around_centres(MADE_UP[name], _CLUSTERS)
            np.save(folder / "queries.npy", queries)
            np.save(folder / "vectors.npy", vectors)
        queries, vectors = np.load(folder / "queries.npy"), np.load(folder / "vectors.npy", "r")
    if not (folder / "truth.npy").is_file():
        np.save(folder / "truth.npy", _truth(vectors, queries))
    truth = np.load(folder / "truth.npy")
    return Data(folder=folder, about=about, vectors=vectors, texts=texts, queries=queries, truth=truth)


@cache
def docs() -> tuple[Vectors, list[str], dict[str, Any]]:
    """All sentences of `corpus`: their vectors, mapped from a file, the texts, and where they come from."""
    folder = KEPT / "docs"
    if not (folder / "vectors.npy").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        corpus = collect()
        about = {"source": corpus.source, "packages": corpus.packages}
        (folder / "texts.json").write_text(json.dumps({"texts": corpus.texts, "about": about}), encoding="utf-8")
        with Encoder(MINILM.artifact("int8"), truncate="silent") as encoder:
            made = encoder.encode(corpus.texts)
        # The vectors last: their presence means that the folder is whole.
        np.save(folder / "partial.npy", made)
        (folder / "partial.npy").rename(folder / "vectors.npy")
    kept = json.loads((folder / "texts.json").read_text(encoding="utf-8"))
    return np.load(folder / "vectors.npy", "r"), kept["texts"], kept["about"]


def clustered(size: int, clusters: int) -> Data:
    """Made-up vectors in memory alone."""
    queries, vectors = _around_centres(size, clusters)
    truth, about = _truth(vectors, queries), {"vectors": _about(size, clusters)}
    return Data(folder=BENCH, about=about, vectors=vectors, texts=[], queries=queries, truth=truth)


def _about(size: int, clusters: int) -> str:
    return f"{size:,} normal vectors around {clusters:,} centres, spread {_SPREAD} of the centres'"


def _around_centres(size: int, clusters: int) -> tuple[Vectors, Vectors]:
    """Queries and vectors of length 1 around centres, the same ones in every run."""
    random = np.random.default_rng(0)
    centres = random.standard_normal((clusters, _DIMENSION), np.float32)
    vectors = np.empty((QUERIES + size, _DIMENSION), np.float32)
    for part in np.split(vectors, range(QUERIES, len(vectors), _PART)):
        part[:] = centres[random.integers(0, clusters, len(part))]
        part += _SPREAD * random.standard_normal(part.shape, np.float32)
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return vectors[:QUERIES], vectors[QUERIES:]


def _truth(vectors: Vectors, queries: Vectors) -> Vectors:
    best = np.full((len(queries), K), -1, np.float32)
    for start in range(0, len(vectors), _PART):
        scores = queries @ vectors[start : start + _PART].T
        best = np.partition(np.concatenate([best, scores], axis=1), -K, axis=1)[:, -K:]
    return -np.sort(-best, axis=1)
