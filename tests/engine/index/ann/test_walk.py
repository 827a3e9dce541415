"""A saved graph is searched by our kernels where they can walk it, and by USearch elsewhere, alike."""

import dataclasses
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from simcse_engine.errors import IndexDamagedError, InputValueError
from simcse_engine.index.ann.graph import AnnGraph, _layout_of
from simcse_engine.index.ann.layout import Layout
from simcse_engine.index.ann.saved import SavedGraph, pieces_of
from simcse_engine.index.ann.scheme import Scheme
from simcse_engine.index.ann.usearch import LibraryGraph
from simcse_engine.index.ann.walk import GraphWalk, walk_of
from simcse_engine.machine.kernels import NONE, VARIABLE
from support.indexes import unit_vectors
from support.ways import variants

ROWS, DIMENSION = 3000, 48
SCHEME = Scheme(dimension=DIMENSION, dtype="i8", connectivity=16, expansion_search=32)
HEAD = 8 + ROWS * DIMENSION

pytestmark = pytest.mark.skipif(not variants(), reason="there are no kernels for this CPU")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SavedGraph]:
    folder, graph = tmp_path_factory.mktemp("graph"), AnnGraph(SCHEME)
    graph.add(np.arange(ROWS), unit_vectors(ROWS, dimension=DIMENSION), covered=ROWS, threads=1)
    return folder, graph.save(folder, "graph", threads=1)


@pytest.fixture(autouse=True)
def best_variant(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that may not have been tried on this CPU too."""
    monkeypatch.setenv(VARIABLE, variants()[0])


def opened(saved: tuple[Path, SavedGraph], scheme: Scheme = SCHEME) -> AnnGraph:
    return AnnGraph.open(*saved, scheme, threads=1)


def searcher(graph: AnnGraph) -> type:
    with graph._lent() as (lent, _):
        return type(lent)


@pytest.mark.parametrize("count", [1, 10, 100])
def test_it_finds_what_usearch_finds(
    monkeypatch: pytest.MonkeyPatch, saved: tuple[Path, SavedGraph], count: int
) -> None:
    queries = unit_vectors(50, 1, DIMENSION)
    found = {}
    for way in (NONE, *variants()):
        monkeypatch.setenv(VARIABLE, way)
        graph = opened(saved)
        assert searcher(graph) is (LibraryGraph if way == NONE else GraphWalk)
        found[way], covered = graph.search(queries, count, threads=2)
        assert covered == ROWS
    for way, rows in found.items():
        # Of equal products, the order may be another, and so the last of all.
        common = sum(len({*mine} & {*other}) for mine, other in zip(rows.tolist(), found[NONE].tolist(), strict=True))
        assert common > 0.99 * rows.size, way
        assert np.mean(rows == found[NONE]) > 0.95, way


def test_a_variant_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, saved: tuple[Path, SavedGraph], tmp_path: Path
) -> None:
    monkeypatch.setenv(VARIABLE, "sse2")
    with pytest.raises(InputValueError, match="no such kernels"):
        opened(saved)
    graph = AnnGraph(SCHEME)
    graph.add(np.arange(10), unit_vectors(10, dimension=DIMENSION), covered=10, threads=1)
    graph.saved_as(tmp_path, graph.save(tmp_path, "graph", threads=1))
    assert graph.saved_covered == 10
    assert searcher(graph) is LibraryGraph


def test_a_graph_that_was_just_saved(tmp_path: Path) -> None:
    vectors = unit_vectors(200, dimension=DIMENSION)
    graph = AnnGraph(SCHEME)
    graph.add(np.arange(100), vectors[:100], covered=100, threads=1)
    assert searcher(graph) is LibraryGraph
    graph.saved_as(tmp_path, graph.save(tmp_path, "graph", threads=1))
    graph.add(np.arange(100, 200), vectors[100:], covered=200, threads=1)
    with graph._taking_turn():
        assert searcher(graph) is GraphWalk
        rows, covered = graph.search(vectors[:60], 1, threads=2)
    assert (rows.ravel().tolist(), covered) == ([*range(60)], 100)


@pytest.mark.parametrize("scheme", [{"dtype": "f16"}, {"dtype": "b1"}, {"connectivity": 65}])
def test_other_graphs_are_usearch_s(tmp_path: Path, scheme: dict[str, object]) -> None:
    graph = AnnGraph(dataclasses.replace(SCHEME, **scheme))
    graph.add(np.arange(50), unit_vectors(50, dimension=DIMENSION), covered=50, threads=1)
    record = graph.save(tmp_path, "graph", threads=1)
    assert searcher(opened((tmp_path, record), graph.scheme)) is LibraryGraph


def test_a_graph_of_more_nodes_than_the_kernels_count(saved: tuple[Path, SavedGraph]) -> None:
    lent = opened(saved)._saved
    assert lent is not None
    nodes = _layout_of(saved[1], SCHEME).nodes(lent.content)
    assert walk_of(lent.content, nodes, SCHEME, ROWS) is not None
    many = dataclasses.replace(nodes, levels=np.broadcast_to(np.int16(0), 1 << 31))
    assert walk_of(lent.content, many, SCHEME, ROWS) is None


def test_without_memory_for_what_was_saved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It counts already: what saved it must not fail."""
    vectors = unit_vectors(100, dimension=DIMENSION)
    graph = AnnGraph(SCHEME)
    graph.add(np.arange(100), vectors, covered=100, threads=1)
    record = graph.save(tmp_path, "graph", threads=1)

    def nodes(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Layout, "nodes", nodes)
    graph.saved_as(tmp_path, record)
    assert graph.saved_covered == 100
    assert graph.search(vectors, 1, threads=1)[0].ravel().tolist() == [*range(100)]


def test_a_file_of_another_version_is_usearch_s_to_refuse(tmp_path: Path, saved: tuple[Path, SavedGraph]) -> None:
    content = bytearray((saved[0] / "graph").read_bytes())
    assert struct.unpack_from("<H", content, HEAD + 7) == (2,)
    struct.pack_into("<H", content, HEAD + 7, 3)
    (tmp_path / "graph").write_bytes(content)
    record = dataclasses.replace(saved[1], pieces=pieces_of(memoryview(content), 1))
    with pytest.raises(IndexDamagedError, match="USearch refuses it"):
        opened((tmp_path, record))


def test_threads_search_side_by_side(saved: tuple[Path, SavedGraph]) -> None:
    queries, graph = unit_vectors(200, 2, DIMENSION), opened(saved)
    alone, _ = graph.search(queries, 20, threads=1)
    with ThreadPoolExecutor(4) as pool:
        shares = pool.map(lambda i: graph.search(queries[i::4], 20, threads=2)[0], range(4))
        for i, rows in enumerate(shares):
            assert np.array_equal(rows, alone[i::4])


def test_a_file_that_is_altered_while_it_is_searched(tmp_path: Path, saved: tuple[Path, SavedGraph]) -> None:
    path = tmp_path / "graph"
    path.write_bytes((saved[0] / "graph").read_bytes())
    graph = opened((tmp_path, saved[1]))
    queries = unit_vectors(5, 3, DIMENSION)
    graph.search(queries, 5, threads=1)
    with path.open("r+b") as file:
        start = HEAD + 64 + 40 + 2 * ROWS
        file.seek(start)
        file.write(b"\xff" * (path.stat().st_size - start))
    with pytest.raises(IndexDamagedError, match="altered while it was searched"):
        graph.search(queries, 5, threads=1)


@pytest.mark.parametrize("key", [5, ROWS, -1])
def test_keys_that_are_altered_while_it_is_searched(tmp_path: Path, saved: tuple[Path, SavedGraph], key: int) -> None:
    path = tmp_path / "graph"
    path.write_bytes((saved[0] / "graph").read_bytes())
    graph = opened((tmp_path, saved[1]))
    assert graph._saved is not None
    nodes = _layout_of(saved[1], SCHEME).nodes(graph._saved.content)
    with path.open("r+b") as file:
        for start in nodes.starts[:-1].tolist():
            file.seek(start)
            file.write(struct.pack("<q", key))
    with pytest.raises(IndexDamagedError, match="altered while it was searched"):
        graph.search(unit_vectors(5, 3, DIMENSION), 5, threads=1)


def test_an_opened_graph_grows(monkeypatch: pytest.MonkeyPatch, saved: tuple[Path, SavedGraph]) -> None:
    """It is searched as it was saved, until that lacks too much."""
    more = unit_vectors(100, 4, DIMENSION)
    graph = opened(saved)
    graph.add(np.arange(ROWS, ROWS + 100), more, covered=ROWS + 100, threads=2)
    assert graph.search(more, 3, threads=2)[1] == ROWS
    monkeypatch.setattr("simcse_engine.index.ann.graph._TAIL_ROWS", 99)
    rows, covered = graph.search(more, 3, threads=2)
    assert covered == ROWS + 100
    assert np.mean(rows[:, 0] == np.arange(ROWS, ROWS + 100)) > 0.95
