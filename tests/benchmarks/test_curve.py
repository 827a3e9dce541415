import pytest
from benchmarks.search.curve import read_at

RECALLS = {32: 0.9, 128: 0.999, 512: 1.0}
SECONDS = {32: [1.0, 2.0], 128: [4.0, 2.0], 512: [16.0, 8.0]}


def test_between_two_widths_it_is_linear_in_logarithms_round_by_round() -> None:
    read = read_at(0.99, RECALLS, SECONDS)
    assert (read.recall, read.candidates) == (0.99, pytest.approx(64))
    assert read.seconds == pytest.approx([2.0, 2.0])


def test_at_a_measured_recall_it_is_what_was_measured() -> None:
    read = read_at(0.999, RECALLS, SECONDS)
    assert read.candidates == pytest.approx(128)
    assert read.seconds == pytest.approx(SECONDS[128])


def test_a_recall_of_one_is_read_at_the_first_width_that_has_it() -> None:
    assert read_at(1.0, {**RECALLS, 256: 1.0}, {**SECONDS, 256: [8.0, 4.0]}).candidates == pytest.approx(256)


def test_beyond_its_ends_it_is_read_at_the_nearest_width() -> None:
    low = read_at(0.5, RECALLS, SECONDS)
    assert (low.recall, low.candidates, low.seconds) == (0.9, 32, SECONDS[32])
    high = read_at(1.0, {32: 0.9, 128: 0.999}, SECONDS)
    assert (high.recall, high.candidates, high.seconds) == (0.999, 128, SECONDS[128])
