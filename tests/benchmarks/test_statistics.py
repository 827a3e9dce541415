import pytest
from benchmarks.statistics import Ratio, medians_ms, over, percentiles_ms, rates

from simcse_engine.measure.results import Spread


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    # The machine is twice as slow in the second round; the ratio is the same.
    assert Ratio.of([2.0, 4.0], [1.0, 2.0]) == Ratio(median=2.0, low=2.0, high=2.0)
    spread = Ratio.of([1.0, 2.0, 3.0], [1.0, 1.0, 1.0])
    assert (spread.low, spread.median, spread.high) == (1.0, 2.0, 3.0)
    assert spread == Ratio.of([1.0, 2.0, 3.0], [1.0, 1.0, 1.0])


def test_rates() -> None:
    assert rates({"a": [2.0, 4.0, 1.0]}, 8) == {"a": Spread(median=4.0, min=2.0, max=8.0)}


def test_over() -> None:
    assert over({"a": [2.0], "b": [6.0]}, "a") == {"b": Ratio(median=3.0, low=3.0, high=3.0)}


def test_blocks_of_seconds() -> None:
    blocks = [[0.001, 0.002, 0.003], [0.004, 0.005]]
    assert percentiles_ms(blocks, (50, 99.9))["p50"] == pytest.approx(3)
    assert list(percentiles_ms(blocks, (50, 99.9))) == ["p50", "p99.9"]
    assert medians_ms({"a": blocks}) == {"a": pytest.approx([2, 4.5])}
