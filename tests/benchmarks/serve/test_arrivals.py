import numpy as np
import pytest
from benchmarks.serve.arrivals import arrivals


def test_independent_users() -> None:
    moments = arrivals(1_000, 20)
    assert (np.diff(moments) >= 0).all()
    assert moments[0] >= 0
    assert moments[-1] < 20
    # Within five standard deviations of the mean.
    assert len(moments) == pytest.approx(20_000, abs=5 * np.sqrt(20_000))
    # The distances of a Poisson process: their deviation is their mean.
    assert np.diff(moments).std() == pytest.approx(1e-3, rel=0.05)


def test_the_same_seed_gives_the_same_moments() -> None:
    assert (arrivals(50, 2, seed=3) == arrivals(50, 2, seed=3)).all()
    assert (
        len(arrivals(50, 2, seed=3)) != len(arrivals(50, 2, seed=4))
        or (arrivals(50, 2, seed=3) != arrivals(50, 2, seed=4)).any()
    )


def test_equal_distances() -> None:
    assert arrivals(4, 1.5, "even") == pytest.approx([0, 0.25, 0.5, 0.75, 1.0, 1.25])
