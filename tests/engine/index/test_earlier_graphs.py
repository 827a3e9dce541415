"""Indexes whose graph an earlier engine built: i8 with a scale for each vector, and the cosine."""

import json
import shutil
import sqlite3
import warnings
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from usearch.compiled import MetricKind, ScalarKind
from usearch.index import Index as USearch

from simcse_engine import Index, IndexWarning
from simcse_engine.index.ann.saved import SavedGraph, pieces_of
from simcse_engine.index.storage.records import state_checksum
from support.indexes import ROWS, SMALL, filled, nearest_keys, unit_vectors

QUERIES = unit_vectors(9, 1)


@pytest.fixture(scope="module")
def made(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index as an engine of version 0.1.0 has left it."""
    folder = tmp_path_factory.mktemp("earlier") / "index"
    vectors = filled(folder, artifact, ROWS, dtype="i8")
    with Index(folder, limits=SMALL) as index:
        state = index._store.state()
    saved = SavedGraph.from_json(str(state.graph))
    graph = USearch(
        ndim=vectors.shape[1],
        metric=MetricKind.Cos,
        dtype=ScalarKind.I8,
        connectivity=32,
        expansion_add=128,
        expansion_search=128,
        enable_key_lookups=False,
    )
    stretched = np.rint(vectors * (127 / np.abs(vectors).max(axis=1, keepdims=True))).astype(np.int8)
    graph.add(np.arange(ROWS, dtype=np.uint64), stretched)
    graph.save(folder / saved.file)
    content = (folder / saved.file).read_bytes()
    facts = json.loads(saved.to_json())
    del facts["scale"]
    facts |= {"size_bytes": len(content), "pieces": pieces_of(memoryview(content), 1)}
    record = json.dumps(facts)
    with closing(sqlite3.connect(folder / "index.db")) as connection, connection:
        checksum = state_checksum(state.generation, state.rows, state.next_key, record)
        connection.execute("UPDATE state SET graph = ?, checksum = ?", (record, checksum))
    return folder


@pytest.fixture
def earlier(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "index"))


def keys(index: Index) -> list[list[int]]:
    return [[hit.key for hit in hits] for hits in index.search(QUERIES, 5, exact=False)]


def test_a_reader_says_what_to_do(earlier: Path) -> None:
    with Index(earlier, limits=SMALL, read_only=True) as index:
        with pytest.warns(IndexWarning, match=r"of an earlier version.*call checkpoint\(\)"):
            found = keys(index)
        assert found == nearest_keys(unit_vectors(ROWS), QUERIES, 5)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            keys(index)
        assert index.info().in_graph == 0


def test_a_writer_builds_it_again(earlier: Path) -> None:
    with Index(earlier, limits=SMALL, read_only=False) as index, warnings.catch_warnings():
        warnings.simplefilter("error")
        index.checkpoint()
        assert index.info().in_graph == ROWS
    with Index(earlier, limits=SMALL, read_only=True) as index, warnings.catch_warnings():
        warnings.simplefilter("error")
        assert keys(index) == nearest_keys(unit_vectors(ROWS), QUERIES, 5)
        assert index._views.ann is not None
