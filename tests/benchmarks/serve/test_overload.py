import numpy as np
from benchmarks.serve.overload import IN_A_ROW, recovery


def waits(*seconds: float) -> list[tuple[float, float]]:
    """One request after the other from moment 0 on."""
    moments = np.concatenate([[0], np.cumsum(np.minimum(seconds, 1e-3))[:-1]])
    return list(zip(moments.tolist(), seconds, strict=True))


def test_recovered_from_the_first_wait_that_is_as_before() -> None:
    seen = waits(*[0.5] * 5, np.inf, *[0.001] * (IN_A_ROW + 5))
    # After five slow ones and a refused one, of which each moves the clock by a millisecond.
    assert round(recovery(seen, limit=0.002, since=0.0), 4) == 0.006


def test_one_slow_request_among_quick_ones_is_no_relapse() -> None:
    seen = waits(*[0.001] * 3, 0.5, *[0.001] * IN_A_ROW)
    assert recovery(seen, limit=0.002, since=0.0) == 0


def test_what_ended_before_does_not_count() -> None:
    seen = waits(*[0.001] * 50, *[0.5] * 50)
    assert recovery(seen, limit=0.002, since=0.06) is None


def test_never() -> None:
    assert recovery(waits(*[np.inf] * 100), limit=0.002, since=0.0) is None
    assert recovery([], limit=0.002, since=0.0) is None
