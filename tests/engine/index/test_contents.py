"""What an index holds, read by keys, counted and iterated over."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simcse_engine import Index
from simcse_engine.errors import ClosedError, InputTypeError, InputValueError
from simcse_engine.index import Entry
from support.indexes import DIMENSION, ROWS, SMALL, unit_vectors

VECTORS = unit_vectors(ROWS)


def test_count(index: Index) -> None:
    assert index.count() == index.count(None) == index.count({}) == ROWS
    assert index.count({"n": {"$gte": 100}}) == ROWS - 100
    assert index.count({"n": "100"}) == 0
    index.remove([100, 3])
    assert index.count({"n": {"$gte": 100}}) == ROWS - 101
    index.add_vectors(VECTORS[:1], ["more"], metadata=[{"n": 500}])
    assert index.count({"n": {"$gte": 100}}) == ROWS - 100
    assert index.count({}) == ROWS - 1


def test_what_readers_count_is_what_was_written(index: Index) -> None:
    with Index(index.folder, limits=SMALL, read_only=True) as reader:
        assert reader.count({"n": {"$lt": 10}}) == 10
        index.remove(range(5))
        assert reader.count({"n": {"$lt": 10}}) == 5
        index.compact()
        assert reader.count({"n": {"$lt": 10}}) == 5
        assert [entry.key for entry in reader.entries({"n": {"$lt": 10}})] == [5, 6, 7, 8, 9]


def test_vectors(index: Index) -> None:
    keys = [7, 3, 7, 119, 0]
    found = index.vectors(keys)
    assert (found.dtype, found.flags.c_contiguous) == (np.float32, True)
    np.testing.assert_array_equal(found, VECTORS[keys])
    assert index.vectors([]).shape == (0, DIMENSION)
    found[:] = 0  # a copy
    np.testing.assert_array_equal(index.vectors(np.array(keys)), VECTORS[keys])


def test_vectors_of_no_entry(index: Index) -> None:
    index.remove([5])
    with pytest.raises(InputValueError, match=r"keys\[1\] is 5, under which there is no entry"):
        index.vectors([4, 5])
    with pytest.raises(InputTypeError, match="keys"):
        index.vectors("4")


def test_get_with_vectors(index: Index) -> None:
    pairs = index.get([9, 500, 9, 2], vectors=True)
    assert pairs[1] is None
    for key, pair in zip([9, 9, 2], [pairs[0], pairs[2], pairs[3]], strict=True):
        assert pair is not None
        assert pair[0] == Entry(key, f"text {key}", {"n": key})
        np.testing.assert_array_equal(pair[1], VECTORS[key])
    assert index.get([500], vectors=True) == [None]
    assert index.get([], vectors=True) == []


def test_contains(index: Index) -> None:
    assert 7 in index
    assert np.int64(7) in index
    assert ROWS not in index
    index.remove([7])
    assert 7 not in index
    with pytest.raises(InputTypeError, match="whole number"):
        assert "7" not in index


def test_entries_come_as_they_were_added(index: Index) -> None:
    index.add_vectors(VECTORS[:2], ["first", "again"], keys=[1000, 4])
    keys = [*(key for key in range(ROWS) if key != 4), 1000, 4]
    assert [entry.key for entry in index] == keys
    assert list(index) == list(index.entries()) == list(index.entries({})) == index.get(keys)
    index.compact()
    assert [entry.key for entry in index] == keys


def test_entries_that_meet_a_filter(index: Index) -> None:
    found = list(index.entries({"n": {"$in": [50, 3, 7]}}))
    assert found == [Entry(key, f"text {key}", {"n": key}) for key in (3, 7, 50)]
    assert list(index.entries({"n": "3"})) == []


def test_entries_with_vectors(index: Index) -> None:
    for where, keys in ((None, range(ROWS)), ({"n": {"$lt": 4}}, range(4))):
        pairs = list(index.entries(where, vectors=True))
        assert [entry for entry, _ in pairs] == index.get(keys)
        np.testing.assert_array_equal([vector for _, vector in pairs], VECTORS[[*keys]])


def test_pages_come_in_the_order_of_keys(index: Index) -> None:
    large = [2**63 - 1, 2**63, 2**64 - 2]
    index.add_vectors(VECTORS[:3], ["c", "b", "a"], keys=large[::-1])
    index.remove([50])
    index.update([3], [{"n": -3}])
    keys = [*(key for key in range(ROWS) if key != 50), *large]
    for count in (1, 7, 500):
        found: list[Entry] = []
        while page := index.page(count, after=found[-1].key if found else None):
            assert len(page) == min(count, len(keys) - len(found))
            found += page
        assert found == index.get(keys)
    # A key need not have an entry.
    assert [entry.key for entry in index.page(2, after=50)] == [51, 52]
    for position, after in enumerate(large, 1):
        assert [entry.key for entry in index.page(9, after=after)] == large[position:]
    assert [entry.key for entry in index.page(3, where={"n": {"$gte": 48}})] == [48, 49, 51]
    assert [entry.key for entry in index.page(3, after=48, where={"n": None})] == large
    assert index.page(3, after=49, where={"n": {"$lt": 49}}) == []


def test_pages_with_vectors(index: Index) -> None:
    pairs = index.page(5, after=np.int64(9), where={"n": {"$gt": 11}}, vectors=True)
    assert [entry for entry, _ in pairs] == index.get(range(12, 17))
    np.testing.assert_array_equal([vector for _, vector in pairs], VECTORS[12:17])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"count": 0}, InputValueError, "count=0: expected at least 1"),
        ({"count": None}, InputTypeError, "count=None: expected a whole number"),
        ({"count": "5"}, InputTypeError, "expected a whole number"),
        ({"after": "5"}, InputTypeError, "after is '5'; expected a whole number; the keys of this index are"),
        ({"after": -1}, InputValueError, "after is -1; expected a whole number from 0"),
        ({"where": {"n": {}}}, InputValueError, 'the filter on "n" is empty'),
    ],
)
def test_a_wrong_page_is_refused(index: Index, arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        index.page(**{"count": 3, **arguments})


def test_a_wrong_filter_is_told_at_once(index: Index) -> None:
    with pytest.raises(InputValueError, match=r"\$near"):
        index.entries({"n": {"$near": 3}})
    with pytest.raises(InputTypeError, match="a filter is list"):
        index.count([])  # type: ignore[arg-type]


def test_of_an_empty_index(tmp_path: Path, artifact: Path) -> None:
    with Index.create(tmp_path / "index", artifact) as index:
        assert (list(index), index.count(), index.count({"a": 1})) == ([], 0, 0)
        assert index.vectors([]).shape == (0, DIMENSION)
        assert 0 not in index
        assert index.page(3) == index.page(3, after=5) == []


def test_of_a_closed_index(index: Index) -> None:
    iterating = index.entries()
    index.close()
    for call in (index.count, lambda: index.count({}), lambda: index.page(1), lambda: next(iterating)):
        with pytest.raises(ClosedError):
            call()


def test_an_entry_is_pickled_by_its_public_name() -> None:
    entry = Entry(1, "a", {"b": 2})
    assert pickle.loads(pickle.dumps(entry)) == entry
    assert b"storage" not in pickle.dumps(entry)
