"""Threads that share work, and how sentences are cut into tiles."""

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.kernels import COMMAND, Kernels


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("parts", [0, 1, 2, 7, 1000])
def test_each_part_is_done_once(kernels: Kernels, threads: int, parts: int) -> None:
    counts = np.zeros(parts, np.int32)
    assert kernels.call("simcse_testing_team", 1, parts, threads, 20, counts) == 0
    assert (counts == 20).all()


def test_callers_at_once_do_not_disturb_each_other(kernels: Kernels) -> None:
    """One has the helpers, the others work alone."""
    counts = np.zeros(50, np.int32)
    assert kernels.call("simcse_testing_team", 4, 50, 3, 100, counts) == 0
    assert (counts == 400).all()


def test_more_parts_than_a_ticket_holds(kernels: Kernels) -> None:
    for parts in (0xFFFF, 0x10000):
        counts = np.zeros(parts, np.int32)
        assert kernels.call("simcse_testing_team", 1, parts, 2, 1, counts) == 0
        assert (counts == 1).all()


def test_a_forked_child_has_a_team_of_its_own(kernels: Kernels) -> None:
    if COMMAND in os.environ:
        pytest.skip("emulated threads do not survive a fork")
    counts = np.zeros(10, np.int32)
    kernels.call("simcse_testing_team", 1, 10, 3, 5, counts)
    for callers in (1, 3):
        assert kernels.call("simcse_testing_team_forked", callers, 100, 3, 20) == 0
    assert kernels.call("simcse_testing_team", 1, 10, 3, 5, counts) == 0
    assert (counts == 10).all(), "and the parent keeps its own"


@given(lengths=st.lists(st.integers(1, 100), max_size=60), most=st.integers(1, 80))
def test_tiles_are_whole_sentences_in_order(kernels: Kernels, lengths: list[int], most: int) -> None:
    tiles = np.zeros((len(lengths), 4), np.int32)
    count = kernels.call("simcse_testing_cut", np.array(lengths, np.int64), len(lengths), sum(lengths), most, tiles)
    expected: list[list[int]] = []
    for s, length in enumerate(lengths):
        if expected and expected[-1][3] + length <= most:
            expected[-1][1] += 1
            expected[-1][3] += length
        else:
            expected.append([s, 1, sum(lengths[:s]), length])
    assert tiles[:count].tolist() == expected


@pytest.mark.parametrize("lengths", [[0], [-1, 3], [2, 1], [2**63 - 1, 3], [2**62, 2**62, 2**62, 2**62, 2]])
def test_lengths_that_do_not_add_up_are_refused(kernels: Kernels, lengths: list[int]) -> None:
    tiles = np.zeros((len(lengths), 4), np.int32)
    assert kernels.call("simcse_testing_cut", np.array(lengths, np.int64), len(lengths), 2, 64, tiles) == -1
