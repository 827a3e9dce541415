"""Entries that are removed by a filter, and metadata that change without their texts."""

from typing import Any

import numpy as np
import pytest

from simcse_engine import Encoder, Index
from simcse_engine.errors import InputTypeError, InputValueError, SearchIndexError
from simcse_engine.index import Entry, rows
from support.indexes import ROWS, SMALL, unit_vectors

VECTORS = unit_vectors(ROWS)


def test_remove_by_a_filter(index: Index) -> None:
    assert index.remove(where={"n": {"$gte": 100}}) == ROWS - 100
    assert index.remove(where={"n": {"$gte": 100}}) == 0
    assert [entry.key for entry in index] == [*range(100)]
    hits = index.search(VECTORS[[110, 5]], k=ROWS)
    assert all({hit.key for hit in of_query} <= {*range(100)} for of_query in hits)
    index.add_vectors(VECTORS[:1], ["more"], keys=[110], metadata=[{"n": 110}])
    assert index.remove(where={"n": {"$gt": 98}}) == 2


def test_remove_everything_must_be_said(index: Index) -> None:
    for arguments in ({}, {"keys": None}, {"where": None}, {"keys": [1], "where": {"n": 1}}, {"keys": [], "where": {}}):
        with pytest.raises(InputTypeError, match="one of them") as caught:
            index.remove(**arguments)  # type: ignore[arg-type]
        assert "--where" in caught.value.on_command_line()
    for wrong in ([], "", 0):
        with pytest.raises(InputTypeError, match="a filter is"):
            index.remove(where=wrong)  # type: ignore[arg-type]
    with pytest.raises(InputValueError, match=r"\$near"):
        index.remove(where={"n": {"$near": 1}})
    assert len(index) == ROWS
    assert index.remove(where={}) == ROWS
    assert list(index) == []


def test_update(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Encoder, "__init__", None)  # nothing is encoded
    assert index.update([3, 5, 7], [{"n": 3, "new": [1, None]}, None, {"n": 7}]) == 2
    changed = [Entry(3, "text 3", {"n": 3, "new": [1, None]}), Entry(5, "text 5", None)]
    assert index.get([3, 5, 7]) == [*changed, Entry(7, "text 7", {"n": 7})]
    assert (len(index), index.info().dead) == (ROWS, 2)
    for exact in (True, False):
        (hits,) = index.search(VECTORS[[3]], k=2, where={"new": {"$contains": 1}}, exact=exact)
        assert [(hit.key, hit.metadata) for hit in hits] == [(3, changed[0].metadata)]
        assert hits[0].score == pytest.approx(1, abs=1e-6)
    assert index.search(VECTORS[[5]], k=1)[0][0][:1] == (5,)
    np.testing.assert_array_equal(index.vectors([3, 5, 7]), VECTORS[[3, 5, 7]])
    # Those that change go behind the others.
    assert [entry.key for entry in index][-3:] == [ROWS - 1, 3, 5]
    index.compact()
    assert index.get([3, 5]) == changed


def test_update_many_in_one_commit(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_BLOCK_ROWS", 7)
    with Index(index.folder, limits=SMALL, read_only=True) as reader, reader._store.reading() as before:
        seen = before.state()
        assert index.update(range(ROWS), [{"m": -key} for key in range(ROWS)]) == ROWS
        state = index._store.state()
        assert (state.rows, state.deaths) == (2 * ROWS, ROWS)
        assert before.state() == seen
    assert [entry.metadata for entry in index] == [{"m": -key} for key in range(ROWS)]
    np.testing.assert_array_equal(index.vectors(range(ROWS)), VECTORS)


def test_update_merges(index: Index) -> None:
    index.update([0, 1, 2], [{"a": {"x": 1}, "b": 1}, None, {"a": 1}])
    assert index.update([0, 1, 2, 3], [{"a": {"y": 2}, "c": None}, {"a": 2}, None, {}], merge=True) == 2
    documents = [{"a": {"y": 2}, "b": 1, "c": None}, {"a": 2}, {"a": 1}, {"n": 3}]
    assert [entry and entry.metadata for entry in index.get(range(4))] == documents
    large = {"int": 2**300, "float": 0.1, "é": "\0", "zero": -0.0}
    index.update([1], [large], merge=True)
    assert index.update([1], [{"a": 2}], merge=True) == 0
    entry = index.get([1])[0]
    assert repr(entry and entry.metadata) == repr({"a": 2, **large})


@pytest.mark.parametrize(
    ("keys", "metadata", "message"),
    [
        ([1, 500], [{}, {}], r"keys\[1\] is 500, under which there is no entry"),
        ([*range(ROWS), 500], [{}] * (ROWS + 1), r"keys\[120\] is 500"),
        ([1, 2, 1], [{}, {}, {}], r"keys\[2\] is keys\[0\] again"),
        ([1, 2], [{}], "metadata has 1 for 2 keys"),
        ([1], [3], r"metadata\[0\] is int"),
        ([1], [{"a": float("nan")}], "nan"),
        ([1], {"a": 1}, "metadata is dict; expected a list with a dict or None for each key"),
        ([1], None, "metadata is NoneType; expected a list with a dict or None for each key"),
        ("1", [{}], "keys is str"),
        ([-1], [{}], r"keys\[0\] is -1"),
    ],
)
def test_a_wrong_update_changes_nothing(
    index: Index, monkeypatch: pytest.MonkeyPatch, keys: Any, metadata: Any, message: str
) -> None:
    monkeypatch.setattr(rows, "_BLOCK_ROWS", 50)
    before, state = list(index), index._store.state()
    with pytest.raises((InputTypeError, InputValueError), match=message):
        index.update(keys, metadata)
    assert index._store.state() == state
    assert list(index) == before
    # What was written meanwhile does not count, and is written over.
    index.add_vectors(VECTORS[:1], ["more"], keys=[900])
    np.testing.assert_array_equal(index.vectors([900, 119]), VECTORS[[0, 119]])


def test_update_nothing(index: Index) -> None:
    assert index.update([], []) == 0
    assert index._store.state().deaths == 0


def test_a_reader_changes_nothing(index: Index) -> None:
    with Index.open(index.folder, read_only=True) as reader:
        for call in (lambda: reader.remove(where={}), lambda: reader.update([1], [{}])):
            with pytest.raises(SearchIndexError, match="read_only"):
                call()
    assert len(index) == ROWS


def test_a_merge_of_no_fields_changes_nothing(index: Index) -> None:
    index.add_vectors(VECTORS[:1], ["bare"], keys=[500])
    assert index.update([500, 3], [{}, {}], merge=True) == 0
    assert [entry and entry.metadata for entry in index.get([500, 3])] == [None, {"n": 3}]
    assert index.update([500], [{}]) == 1
