"""What is searched: real sentences' vectors, and made-up ones in clusters; kept in `.bench/`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simcse_engine import Encoder

from ..inputs import MINILM, sentences
from ..record import BENCH

Vectors = NDArray[np.float32]

K, BATCH, QUERIES = 10, 100, 500
SIZES = {"100k": 100_000, "1m": 1_000_000}
NAMES = ("real", *SIZES)
_DIMENSION, _CLUSTERS, _SPREAD = 384, 2_000, 0.6
_PART = 50_000


@dataclass(frozen=True, kw_only=True)
class Data:
    """What is searched."""

    folder: Path  # where it is kept, and what is built from it
    about: str  # for the result's file
    vectors: Vectors  # [n, dimension], of length 1, mapped from a file
    texts: list[str]  # one for each
    queries: Vectors  # [QUERIES, dimension]
    truth: Vectors  # [QUERIES, K], the scores of each query's nearest, best first

    def batches(self) -> Iterator[Vectors]:
        """The queries, `BATCH` at a time."""
        for start in range(0, len(self.queries), BATCH):
            yield self.queries[start : start + BATCH]

    def recall(self, scores: Vectors) -> float:
        """The share of scores [QUERIES, K] that are at least as good as the K-th nearest's.

        So it does not matter which of two equal vectors is found.
        """
        return float(np.mean(np.sum(scores >= self.truth[:, -1:] - 1e-6, axis=1).clip(max=K) / K))


def load(name: str) -> Data:
    """One of `NAMES`."""
    folder = BENCH / "search" / name
    if name == "real":
        real = sentences()
        about = f"MiniLM's vectors; {real.source}; {QUERIES} of them are the queries"
        texts = real.texts[QUERIES:]
    else:
        about = _about(SIZES[name], _CLUSTERS)
        texts = [f"entry {i}" for i in range(SIZES[name])]
    if not (folder / "truth.npy").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        if name == "real":
            with Encoder(MINILM.artifact(), truncate="silent") as encoder:
                made = encoder.encode(sentences().texts)
            queries, vectors = made[:QUERIES], made[QUERIES:]
        else:
            queries, vectors = _around_centres(SIZES[name], _CLUSTERS)
        np.save(folder / "queries.npy", queries)
        np.save(folder / "vectors.npy", vectors)
        # The truth last: its presence means that the folder is whole.
        np.save(folder / "truth.npy", _truth(vectors, queries))
    queries, truth = np.load(folder / "queries.npy"), np.load(folder / "truth.npy")
    vectors = np.load(folder / "vectors.npy", "r")
    return Data(folder=folder, about=about, vectors=vectors, texts=texts, queries=queries, truth=truth)


def clustered(size: int, clusters: int) -> Data:
    """Made-up vectors in memory alone."""
    queries, vectors = _around_centres(size, clusters)
    truth = _truth(vectors, queries)
    return Data(folder=BENCH, about=_about(size, clusters), vectors=vectors, texts=[], queries=queries, truth=truth)


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
