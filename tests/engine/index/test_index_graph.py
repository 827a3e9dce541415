"""Searches by a graph, as an index's callers see them: whatever it lacks or holds too much."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from simcse_engine import Hit, Index
from simcse_engine.index.ann.graph import AnnGraph
from support.indexes import SMALL, filled, names, nearest_keys, unit_vectors


@pytest.fixture
def index(tmp_path: Path, artifact: Path) -> Iterator[Index]:
    Index.create(tmp_path / "index", artifact).close()
    with Index(tmp_path / "index", limits=SMALL) as opened:
        yield opened


def keys_of(hits: list[list[Hit]]) -> list[list[int]]:
    return [[hit.key for hit in each] for each in hits]


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16", "i8"])
@pytest.mark.parametrize("read_only", [True, False])
def test_by_graph_as_exactly(tmp_path: Path, artifact: Path, dtype: str, read_only: bool) -> None:
    vectors = filled(tmp_path / "index", artifact, 400, dtype=dtype)
    queries = unit_vectors(30, 1)
    expected = nearest_keys(vectors, queries, 5)
    with Index(tmp_path / "index", limits=SMALL, read_only=read_only) as index:
        assert index.info().in_graph == 400
        assert keys_of(index.search(queries, exact=True)) == expected
        hits_by_query = index.search(queries)
        shared = [len({*keys} & {*nearest}) for keys, nearest in zip(keys_of(hits_by_query), expected, strict=True)]
        assert sum(shared) >= 0.98 * 5 * len(queries)
        exact = {(i, hit.key): hit.score for i, each in enumerate(index.search(queries, k=400)) for hit in each}
        assert all(exact[i, hit.key] == hit.score for i, each in enumerate(hits_by_query) for hit in each)
        assert keys_of(index.search(queries, exact=False)) == keys_of(hits_by_query)
        # One query is answered as many are.
        assert [index.search(queries[[i]])[0] for i in range(5)] == hits_by_query[:5]


def test_b1(tmp_path: Path, artifact: Path) -> None:
    vectors = filled(tmp_path / "index", artifact, 400, dtype="b1")
    with Index.open(tmp_path / "index", read_only=True) as index:
        hits_by_query = keys_of(index.search(vectors, k=1, exact=False))
        assert sum(keys == [i] for i, keys in enumerate(hits_by_query)) > 390


def test_what_the_graph_lacks_is_found(tmp_path: Path, artifact: Path) -> None:
    vectors = filled(tmp_path / "index", artifact, 200)
    more = unit_vectors(10, 5)
    with Index(tmp_path / "index", limits=SMALL) as index:
        index.add_vectors(more, names(10, 200))
        assert index.info().in_graph == 200
        assert [each[0].key for each in index.search(more, exact=False)] == [*range(200, 210)]
        index.remove([0, 205])
        index.add_vectors(more[:1], ["other"], keys=[7])
        hits_by_query = index.search(np.concatenate([vectors[:1], more[5:6], vectors[7:8], more[:1]]), k=2, exact=False)
        assert 0 not in keys_of(hits_by_query)[0]
        assert 205 not in keys_of(hits_by_query)[1]
        assert 7 not in keys_of(hits_by_query)[2]
        assert keys_of(hits_by_query)[3] == [7, 200]


def test_many_dead_in_the_graph(tmp_path: Path, artifact: Path) -> None:
    vectors = filled(tmp_path / "index", artifact, 400)
    with Index(tmp_path / "index", limits=SMALL) as index:
        index.remove([i for i in range(400) if i % 4])
        left = np.arange(0, 400, 4)
        queries = unit_vectors(20, 1)
        expected = [left[keys].tolist() for keys in nearest_keys(vectors[left], queries, 5)]
        assert keys_of(index.search(queries)) == expected
        assert keys_of(index.search(queries, exact=False)) == expected
        # Then it is built again without them.
        index.checkpoint()
        index.add_vectors(unit_vectors(25, 9), names(25, 1000))
        assert len(index._views.ann) < 200  # type: ignore[arg-type]
        assert [each[0].key for each in index.search(vectors[left], k=1)] == left.tolist()


def test_strays_are_found_once(tmp_path: Path, artifact: Path) -> None:
    """Rows that the graph holds, but does not find, are scanned; if it does find them, they are no second hit."""
    vectors = filled(tmp_path / "index", artifact, 400)
    with Index(tmp_path / "index", limits=SMALL) as index:
        index.search(vectors[:1])
        graph = AnnGraph(index._views.ann.scheme)  # type: ignore[union-attr]
        rows = np.array([i for i in range(400) if i not in (17, 300)])
        graph.add(rows, vectors[rows], covered=400, threads=1)
        graph.strays = np.array([17, 300, 5, 6])
        with index._store.reading() as reader:
            index._views.adopt(graph, reader.state())
        index.remove([300])
        hits = index.search(vectors, k=3, exact=False)
        assert hits == index.search(vectors, k=3, exact=True)


def test_more_hits_than_a_search_has_candidates(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, artifact: Path
) -> None:
    monkeypatch.setattr("simcse_engine.index.ann.graph._MOST_CANDIDATES", 40)
    vectors = filled(tmp_path / "index", artifact, 400, dtype="i8")
    with Index(tmp_path / "index", limits=SMALL) as index:
        assert index.search(vectors[:5], k=50, exact=False) == index.search(vectors[:5], k=50, exact=True)
        graph = index._views.ann
        assert graph is not None
        assert graph.search(vectors[:5], 50, threads=1)[0].shape == (5, 40)


class Straying(AnnGraph):
    """It has one more stray whenever it is looked at, as if a writer went on adding to it."""

    looks = 0

    @property
    def strays(self) -> np.ndarray:  # type: ignore[override]
        self.looks += 1
        return np.arange(self.looks)

    @strays.setter
    def strays(self, _: np.ndarray) -> None: ...


def test_strays_that_are_added_during_a_search(tmp_path: Path, artifact: Path) -> None:
    vectors = filled(tmp_path / "index", artifact, 400)
    with Index(tmp_path / "index", limits=SMALL) as index:
        index.search(vectors[:1])
        graph = Straying(index._views.scheme)
        graph.add(np.arange(400), vectors, covered=400, threads=1)
        with index._store.reading() as reader:
            index._views.adopt(graph, reader.state())
        assert index.search(vectors, k=3, exact=False) == index.search(vectors, k=3, exact=True)
        assert graph.looks > 1


def test_growth_saves_the_graph_now_and_then(tmp_path: Path, artifact: Path) -> None:
    vectors = unit_vectors(300)
    Index.create(tmp_path / "index", artifact).close()
    covered = []
    with Index(tmp_path / "index", limits=SMALL) as index:
        for start in range(0, 300, 10):
            index.add_vectors(vectors[start : start + 10], names(10, start))
            covered.append(index.info().in_graph)
            assert index.search(vectors[[0, start]], k=1, exact=False)[1][0].key == start
    assert covered[4] == 0
    assert covered[-1] > 200
    assert 4 < len(set(covered)) < 15
    assert covered == sorted(covered)
    assert len(list((tmp_path / "index").glob("graph-*"))) == 1


def test_small_indexes_have_no_graph(index: Index) -> None:
    index.add_vectors(unit_vectors(50), names(50))
    index.checkpoint()
    assert index.info().in_graph == 0
    assert index.search(unit_vectors(1), k=1, exact=False)[0][0].key == 0
