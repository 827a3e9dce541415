"""Additions that are committed are acknowledged, whatever becomes of the graph."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simcse_engine import Index, IndexWarning
from simcse_engine.errors import DiskFullError, LimitError, OutputError
from simcse_engine.index.ann.graph import AnnGraph
from simcse_engine.index.storage.changes import Change
from simcse_engine.index.storage.records import State
from support.indexes import ROWS, SMALL, names, unit_vectors


@pytest.fixture
def index(folder: Path) -> Iterator[Index]:
    with Index(folder, limits=SMALL, read_only=False) as index:
        yield index


class Failing:
    """A method that raises, and counts how often it was called."""

    def __init__(self, error: BaseException) -> None:
        self.error, self.calls = error, 0

    def __call__(self, *_: Any, **__: Any) -> Any:
        self.calls += 1
        raise self.error


@pytest.mark.parametrize("method", ["add", "save"])
@pytest.mark.parametrize(
    "error", [DiskFullError("no room"), OutputError("no room"), LimitError("no room"), MemoryError("no room")]
)
def test_a_graph_without_room(index: Index, monkeypatch: pytest.MonkeyPatch, method: str, error: Exception) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(AnnGraph, method, Failing(error))
        with pytest.warns(IndexWarning, match="no room.*the saved graph lacks"):
            assert len(index.add_vectors(unit_vectors(60, 1), names(60, ROWS))) == 60
    assert len(index) == ROWS + 60
    assert index.search(unit_vectors(60, 1)[7:8], k=1)[0][0].text == f"text {ROWS + 7}"


def test_a_graph_without_room_is_not_saved_with_every_addition(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        failing = Failing(DiskFullError("no room"))
        patch.setattr(AnnGraph, "save", failing)
        with pytest.warns(IndexWarning, match="no room"):
            index.add_vectors(unit_vectors(60, 1), names(60, ROWS))
        before = failing.calls
        for i in range(10):
            index.add_vectors(unit_vectors(1, i), names(1, ROWS + 60 + i))
        assert failing.calls == before
    index.checkpoint()
    with Index(index.folder, limits=SMALL, read_only=True) as reader:
        assert reader.search(unit_vectors(60, 1)[7:8], k=1, exact=False)[0][0].text == f"text {ROWS + 7}"


def test_a_graph_is_saved_once_the_database_says_so(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded, set_state = index._store.state().graph, Change.set_state

    def set_state_without_room(self: Change, state: State) -> None:
        if state.graph != recorded:
            raise DiskFullError("no room")
        set_state(self, state)

    with monkeypatch.context() as patch:
        patch.setattr(Change, "set_state", set_state_without_room)
        with pytest.warns(IndexWarning, match="no room"):
            index.add_vectors(unit_vectors(60, 1), names(60, ROWS))
    # What does not count takes no room.
    assert len([*index.folder.glob("graph-*")]) == 1
    assert index.info().in_graph == ROWS
    index.checkpoint()
    assert index.info().in_graph == ROWS + 60


@pytest.mark.parametrize("error", [LimitError("no room"), KeyboardInterrupt()])
def test_a_saved_graph_goes_on_growing_after_a_failure(
    index: Index, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """What is in the saved graph is not added again."""
    with monkeypatch.context() as patch:
        patch.setattr(AnnGraph, "add", Failing(error))
        if isinstance(error, KeyboardInterrupt):
            with pytest.raises(KeyboardInterrupt):
                index.add_vectors(unit_vectors(60, 1), names(60, ROWS))
        else:
            with pytest.warns(IndexWarning, match="no room"):
                index.add_vectors(unit_vectors(60, 1), names(60, ROWS))
    added = added_rows(monkeypatch)
    index.checkpoint()
    assert sorted(added) == [*range(ROWS, index._store.state().rows)]
    assert index.info().in_graph == index._store.state().rows
    assert index.search(unit_vectors(ROWS)[:1], k=1, exact=False)[0][0].text == "text 0"


def test_a_graph_that_no_search_needs_is_left_as_it_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    added = added_rows(monkeypatch)
    with Index(folder, limits=replace(SMALL, exact_rows=ROWS + 60), read_only=False) as index:
        index.add_vectors(unit_vectors(60, 1), names(60, ROWS))
        index.checkpoint()
        assert (added, index.info().in_graph) == ([], ROWS)
        assert index.search(unit_vectors(60, 1)[7:8], k=1, exact=False)[0][0].text == f"text {ROWS + 7}"
        # Beyond the limit it is needed, and goes on from what it has.
        index.add_vectors(unit_vectors(1, 2), names(1, ROWS + 60))
        assert sorted(added) == [*range(ROWS, ROWS + 61)]


def added_rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows that graphs take in from now on."""
    added: list[int] = []
    add = AnnGraph.add

    def recorded(self: AnnGraph, rows: np.ndarray, *arguments: Any, **settings: Any) -> None:
        add(self, rows, *arguments, **settings)
        added.extend(rows.tolist())

    monkeypatch.setattr(AnnGraph, "add", recorded)
    return added


def test_other_errors_are_raised(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(AnnGraph, "add", Failing(RuntimeError("a defect")))
        with pytest.raises(RuntimeError, match="a defect"):
            index.add_vectors(unit_vectors(60, 1), names(60, ROWS))
