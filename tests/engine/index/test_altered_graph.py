"""A graph whose file is altered while its index is open: told once, done without, and built again."""

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from simcse_engine import Hit, Index, IndexWarning
from simcse_engine.index.ann.saved import SavedGraph, pieces_of
from simcse_engine.machine.kernels import VARIABLE
from support.indexes import DIMENSION, ROWS, SMALL, filled, names, unit_vectors
from support.ways import variants

HEAD = 8 + ROWS * DIMENSION
NODES = HEAD + 64 + 40 + 2 * ROWS

QUERIES = unit_vectors(15, 3)


@pytest.fixture
def folder(tmp_path: Path, artifact: Path) -> Path:
    filled(tmp_path / "index", artifact, ROWS, dtype="i8")
    return tmp_path / "index"


def graph_file(folder: Path) -> Path:
    (path,) = folder.glob("graph-*")
    return path


def alter(folder: Path, position: int, content: bytes) -> None:
    with graph_file(folder).open("r+b") as file:
        file.seek(position)
        file.write(content)


def search(index: Index, *, exact: bool = False) -> list[list[Hit]]:
    return index.search(QUERIES, k=3, exact=exact)


@pytest.mark.skipif(not variants(), reason="USearch, which searches where there are no kernels for a CPU, would crash")
@pytest.mark.parametrize("read_only", [True, False])
def test_a_search_goes_on_exactly(monkeypatch: pytest.MonkeyPatch, folder: Path, read_only: bool) -> None:
    monkeypatch.setenv(VARIABLE, variants()[0])
    with Index(folder, limits=SMALL, read_only=read_only) as index:
        expected = search(index, exact=True)
        assert search(index) == expected
        alter(folder, NODES, b"\xff" * (graph_file(folder).stat().st_size - NODES))
        with pytest.warns(IndexWarning, match=r"altered while it was searched; .*checkpoint\(\)") as caught:
            assert search(index) == expected
        # Of several groups of queries, one.
        assert len(caught) == 1
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert search(index) == expected
        assert index._views.ann is None
        if not read_only:
            index.checkpoint()
            assert index._views.ann is not None
            assert search(index) == expected
    if not read_only:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Index.open(folder, read_only=True) as index:
                assert search(index) == expected


def test_an_addition_takes_over_nothing(folder: Path) -> None:
    """What a writer copies into memory is saved as its own."""
    with Index(folder, limits=SMALL) as index:
        expected = search(index)
        alter(folder, 8, bytes(HEAD - 8))
        assert_built_again(index, "digest differs")
        assert np.any(np.frombuffer(graph_file(folder).read_bytes(), np.uint8, HEAD - 8, 8))
        index.remove(range(ROWS, ROWS + 30))
        assert search(index) == expected


def test_a_graph_that_can_be_walked_but_not_loaded(folder: Path) -> None:
    """Of a version of USearch with other keys."""
    with Index(folder, limits=SMALL) as index:
        alter(folder, HEAD + 9, b"\0")
        content = memoryview(graph_file(folder).read_bytes())
        state = index._store.state()
        saved = replace(SavedGraph.of(state.graph), pieces=pieces_of(content, 1))  # type: ignore[type-var]
        with index._store.writing() as change:
            change.set_state(replace(state, graph=saved.to_json()))
        assert_built_again(index, "USearch refuses it")


def assert_built_again(index: Index, message: str) -> None:
    more = unit_vectors(30, 9)
    with pytest.warns(IndexWarning, match=message):
        index.add_vectors(more, names(30, ROWS))
    assert index.info().entries == ROWS + 30
    index.checkpoint()
    assert index.info().in_graph == ROWS + 30
    assert [each[0].key for each in index.search(more, k=1, exact=False)] == [*range(ROWS, ROWS + 30)]
