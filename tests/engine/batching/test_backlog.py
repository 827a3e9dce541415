"""How many tokens may wait."""

import pytest

from simcse_engine.batching.backlog import Backlog
from simcse_engine.errors import QueueFullError


def test_beside_a_huge_call_there_is_room() -> None:
    backlog = Backlog(101)
    counted = backlog.accept(1_000_000)
    small = [backlog.accept(10) for _ in range(5)]
    assert backlog.tokens == 1_000_050
    with pytest.raises(QueueFullError, match="1,000,050 tokens are waiting, and the limit is 101"):
        backlog.accept(10)
    backlog.leave(10, small[0])
    backlog.limit = 1000  # what was counted before, was by the limit of then
    backlog.leave(1_000_000, counted)
    assert backlog.tokens == 40
    backlog.limit = 41
    backlog.accept(1)


def test_two_huge_calls_are_enough() -> None:
    backlog = Backlog(101)
    for _ in range(2):
        backlog.accept(1_000_000)
    with pytest.raises(QueueFullError):
        backlog.accept(1)


def test_the_time_to_wait() -> None:
    backlog = Backlog(100)
    backlog.accept(1_000_000)
    backlog.accept(50)
    for speed, seconds in ((50, 2.0), (0.01, 60.0)):
        backlog._rate = 0.0
        backlog.note_speed(speed)
        with pytest.raises(QueueFullError) as raised:
            backlog.accept(1)
        assert raised.value.retry_after_s == seconds
