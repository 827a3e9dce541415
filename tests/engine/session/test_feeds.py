"""The arrays of a run say where each sentence lies, and padding adds nothing that is read."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcse_engine.session.cuda.buckets import bucket
from simcse_engine.session.feeds import Size, grid, packed, padded, positions

LENGTHS = st.lists(st.integers(1, 70), min_size=1, max_size=40)


def sentences(lengths: list[int]) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(10, 10 + sum(lengths)), np.array(lengths)


def test_packed() -> None:
    feed = packed(*sentences([2, 3]), None)
    assert {name: array.tolist() for name, array in feed.items()} == {
        "input_ids": [10, 11, 12, 13, 14],
        "position_ids": [0, 1, 0, 1, 2],
        "cumulative_lengths": [0, 2, 5],
        # The third place of the first row is the padding's.
        "token_offset": [[0, 1, 3], [4, 5, 2]],
    }
    assert {array.dtype for array in feed.values()} == {np.dtype(np.int32)}


def test_packed_to_a_size() -> None:
    feed = packed(*sentences([2, 3]), None, Size(sentences=4, longest=4, tokens=8))
    assert feed["input_ids"].tolist() == [10, 11, 12, 13, 14, 0, 0, 0]
    assert feed["position_ids"].tolist() == [0, 1, 0, 1, 2, 0, 0, 0]
    assert feed["cumulative_lengths"].tolist() == [0, 2, 5, 5, 5]
    assert feed["token_offset"].ravel()[:5].tolist() == [0, 1, 4, 5, 6]


@given(LENGTHS)
def test_offsets_are_each_place_once(lengths: list[int]) -> None:
    size = bucket(len(lengths), max(lengths), sum(lengths))
    for feed in (packed(*sentences(lengths), None), packed(*sentences(lengths), None, size)):
        offsets = feed["token_offset"]
        assert sorted(offsets.ravel().tolist()) == list(range(offsets.size))
        # There is a place for every token, real or not.
        assert offsets.size >= len(feed["input_ids"])
        starts, longest = feed["cumulative_lengths"], offsets.shape[1]
        for row, length in enumerate(lengths):
            places = offsets.ravel()[starts[row] : starts[row] + length]
            assert places.tolist() == list(range(row * longest, row * longest + length))


def test_grid() -> None:
    feed = grid(*sentences([2, 3]), None)
    assert {name: array.tolist() for name, array in feed.items()} == {
        "input_ids": [[10, 11, 0], [12, 13, 14]],
        "position_ids": [[0, 1, 0], [0, 1, 2]],
        "attention_mask": [[1, 1, 0], [1, 1, 1]],
    }


def test_padded() -> None:
    feed = padded(*sentences([2, 3]), None)
    assert {name: array.tolist() for name, array in feed.items()} == {
        "input_ids": [[10, 11, 0], [12, 13, 14]],
        "attention_mask": [[1, 1, 0], [1, 1, 1]],
    }
    assert {array.dtype for array in feed.values()} == {np.dtype(np.int64)}


@pytest.mark.parametrize(
    ("ids", "expected"),
    [([0, 5, 2, 0, 2], [2, 3, 4, 2, 3]), ([0, 1, 2, 1, 2], [2, 1, 3, 1, 2]), ([1, 1, 1, 0, 1], [1, 1, 1, 2, 1])],
)
def test_roberta_counts_from_behind_its_padding_and_leaves_it_out(ids: list[int], expected: list[int]) -> None:
    assert positions(np.array(ids), np.array([3, 2]), 1).tolist() == expected
