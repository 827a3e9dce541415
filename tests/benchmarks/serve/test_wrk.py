from collections import Counter

import numpy as np
import pytest
from benchmarks.serve.wrk import Closed, measured


def corrected(waits: list[int], *, mean: int) -> Counter[int]:
    """What wrk makes of measured waits (`stats_correct` in its stats.c)."""
    counts = Counter(waits)
    for wait in range(2 * mean, max(waits) + 1):
        if counts[wait]:
            for made_up in range(wait - mean, mean, -mean):
                counts[made_up] += counts[wait]
    return +counts


def test_the_waits_that_wrk_makes_up_are_taken_out() -> None:
    waits = [90, 100, 100, 130, 250, 430, 700, 2_350]
    # Two connections, and a mean wait of 100.
    printed = corrected(waits, mean=100)
    assert printed.total() > len(waits)
    real = measured(dict(printed), requests=len(waits), microseconds=400, connections=2)
    assert real == dict(Counter(waits))
    assert list(real) == sorted(real)


def test_nothing_is_taken_out_where_nothing_was_made_up() -> None:
    assert measured({10: 3, 15: 1}, requests=4, microseconds=40, connections=1) == {10: 3, 15: 1}


def test_the_summary_of_our_script() -> None:
    output = (
        "Running 2s test @ http://127.0.0.1:1\n  1 threads and 2 connections\n"
        '{"requests":4,"microseconds":2000000,"refused":1,"broken":2,"waits":[[1000,3],[3000,1]]}\n'
    )
    loop = Closed.of(output, 2)
    assert (loop.seconds, loop.answered, loop.refused, loop.broken) == (2.0, 4, 1, 2)
    assert loop.rate == 1.5
    assert loop.waits == pytest.approx(np.array([0.001, 0.001, 0.001, 0.003]))


def test_an_output_without_a_summary() -> None:
    with pytest.raises(ValueError, match="wrk printed 0 summaries, not one:\nunable to connect"):
        Closed.of("unable to connect", 1)
