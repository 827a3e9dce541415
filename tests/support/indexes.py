"""What the tests of an index share: vectors without a model, and an index that has a graph while it is small."""

import contextlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simcse_engine import Index
from simcse_engine.index.limits import SearchLimits
from simcse_engine.index.search.matches import Matches
from simcse_engine.index.storage.vectors import VectorMap, VectorWriter, create_vector_file

DIMENSION = 32
# Of the index that tests copy, see tests/engine/index/conftest.py.
ROWS = 120

# With these, a few hundred vectors take every path that a million do.
SMALL = SearchLimits(
    exact_rows=50, extend_rows=20, save_share=0.25, max_candidates=200, window_texts=16, group_queries=7, masks=2
)


def unit_vectors(count: int, seed: int = 0, dimension: int = DIMENSION) -> NDArray[np.float32]:
    vectors = np.random.default_rng(seed).standard_normal((count, dimension), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def names(count: int, start: int = 0) -> list[str]:
    return [f"text {i}" for i in range(start, start + count)]


def filled(folder: Path, artifact: Path, count: int, *, dtype: str = "f16", seed: int = 0) -> NDArray[np.float32]:
    """Make an index of ``count`` random vectors with a saved graph; row i has key i, "text i" and {"n": i}."""
    vectors = unit_vectors(count, seed)
    Index.create(folder, artifact, dtype=dtype).close()
    with Index(folder, limits=SMALL) as index:
        index.add_vectors(vectors, names(count), metadata=[{"n": i} for i in range(count)])
        index.checkpoint()
    return vectors


def nearest_keys(vectors: NDArray[np.float32], queries: NDArray[np.float32], k: int) -> list[list[int]]:
    """The slow way: all cosines in float64, best first, equal ones by position."""
    scores = queries.astype(np.float64) @ vectors.astype(np.float64).T
    return [np.lexsort((np.arange(len(row)), -row))[:k].tolist() for row in scores]


def stored(folder: Path, vectors: NDArray[np.float32]) -> VectorMap:
    """A vector file of these vectors, written once."""
    dimension, name = vectors.shape[1], bytes(16)
    if not (folder / "v").exists():
        create_vector_file(folder / "v", dimension=dimension, generation=1, name=name)
        with contextlib.closing(VectorWriter(folder / "v", dimension)) as writer:
            writer.write(0, vectors)
    return VectorMap(folder / "v", rows=len(vectors), dimension=dimension, generation=1, name=name)


def rows_by_query(matches: Matches, queries: int) -> list[list[int]]:
    return [matches.rows[matches.queries == i].tolist() for i in range(queries)]
