"""What is searched: real sentences' vectors, and made-up ones in clusters; kept in `.bench/`."""

from collections.abc import Callable, Iterator
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
    """What is searched.

    Attributes:
        folder: where it is kept, and what is built from it.
        about: for the result's file.
        vectors: float32 [n, dimension], unit vectors, mapped from a file.
        texts: one for each.
        queries: float32 [QUERIES, dimension].
        truth: float32 [QUERIES, K], the scores of each query's nearest, best first.
    """

    folder: Path
    about: str
    vectors: Vectors
    texts: list[str]
    queries: Vectors
    truth: Vectors

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
    if not (folder / "truth.npy").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        if name == "real":
            _make_real(folder)
        else:
            _make_clustered(folder, SIZES[name])
        # The truth last: its presence means that the folder is whole.
        np.save(folder / "truth.npy", _truth(np.load(folder / "vectors.npy", "r"), np.load(folder / "queries.npy")))
    vectors: Vectors = np.load(folder / "vectors.npy", "r")
    if name == "real":
        real = sentences()
        about = f"MiniLM's vectors; {real.source}; {QUERIES} of them are the queries"
        texts = real.texts[QUERIES:]
    else:
        about = f"{len(vectors):,} normal vectors around {_CLUSTERS:,} centres, spread {_SPREAD} of the centres'"
        texts = [f"entry {i}" for i in range(len(vectors))]
    queries, truth = np.load(folder / "queries.npy"), np.load(folder / "truth.npy")
    return Data(folder=folder, about=about, vectors=vectors, texts=texts, queries=queries, truth=truth)


def _make_real(folder: Path) -> None:
    with Encoder(MINILM.artifact(), truncate="silent") as encoder:
        vectors = encoder.encode(sentences().texts)
    np.save(folder / "vectors.npy", vectors[QUERIES:])
    np.save(folder / "queries.npy", vectors[:QUERIES])


def clustered(size: int, clusters: int) -> Data:
    """Made-up vectors for a trial, in memory alone."""
    some = _around_centres(clusters)
    queries, vectors = some(QUERIES), some(size)
    about = f"{size:,} normal vectors around {clusters:,} centres, spread {_SPREAD} of the centres'"
    return Data(folder=BENCH, about=about, vectors=vectors, texts=[], queries=queries, truth=_truth(vectors, queries))


def _make_clustered(folder: Path, size: int) -> None:
    some = _around_centres(_CLUSTERS)
    np.save(folder / "queries.npy", some(QUERIES))
    vectors = np.lib.format.open_memmap(folder / "vectors.npy", "w+", np.float32, (size, _DIMENSION))
    for start in range(0, size, _PART):
        vectors[start : start + _PART] = some(min(_PART, size - start))
    vectors.flush()


def _around_centres(clusters: int) -> Callable[[int], Vectors]:
    """Draws unit vectors around centres, the same ones in every run."""
    random = np.random.default_rng(0)
    centres = random.standard_normal((clusters, _DIMENSION), np.float32)

    def some(count: int) -> Vectors:
        vectors = centres[random.integers(0, clusters, count)]
        vectors += _SPREAD * random.standard_normal(vectors.shape, np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    return some


def _truth(vectors: Vectors, queries: Vectors) -> Vectors:
    best = np.full((len(queries), K), -1, np.float32)
    for start in range(0, len(vectors), _PART):
        scores = queries @ vectors[start : start + _PART].T
        best = np.partition(np.concatenate([best, scores], axis=1), -K, axis=1)[:, -K:]
    return -np.sort(-best, axis=1)
