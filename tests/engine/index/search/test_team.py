"""Threads that do work together."""

import threading
import time

import pytest

from simcse_engine.index.search.team import Team


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_all_work_is_done_once(threads: int) -> None:
    team, done = Team(threads), []
    for count in (0, 1, 3, 100):
        done.clear()
        team.each(done.append, range(count))
        assert sorted(done) == list(range(count))


def test_an_error_is_told_whichever_thread_has_it() -> None:
    team, both = Team(2), threading.Barrier(2)

    def fail(place: int) -> None:
        both.wait(10)
        if place == failing:
            raise ValueError(place)

    for failing in (0, 1):
        with pytest.raises(ValueError, match=str(failing)):
            team.each(fail, range(2))
    team.each(lambda _: None, range(2))


def test_a_search_beside_another_stays_in_its_own_thread() -> None:
    team, others = Team(3), set()

    def note(_: int) -> None:
        others.add(threading.current_thread())

    with team.searching():
        assert team.threads == 3
        with team.searching():
            assert team.threads == 1
            team.each(note, range(50))
            assert others == {threading.current_thread()}
        assert team.threads == 3


def test_after_an_error_nobody_goes_on() -> None:
    team, done, both = Team(2), [], threading.Barrier(2)

    def work(place: int) -> None:
        if place < 2:
            both.wait(10)
        if place == 0:
            raise ValueError(place)
        # Lets the other thread have its turn.
        time.sleep(0.001)
        done.append(place)

    with pytest.raises(ValueError, match="0"):
        team.each(work, range(1000))
    assert len(done) < 500


def test_where_no_thread_can_be_started_the_caller_does_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    team, done = Team(3), []
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        team.each(done.append, range(20))
    assert done == list(range(20))
    # And later on, others help again.
    both = threading.Barrier(2)
    team.each(lambda _: both.wait(10), range(2))


def test_a_closed_team_has_no_threads_left() -> None:
    team, others = Team(3), set(threading.enumerate())
    team.each(lambda _: None, range(10))
    mine = set(threading.enumerate()) - others
    assert mine
    team.close()
    for thread in mine:
        thread.join(10)
        assert not thread.is_alive()
    done = []
    team.each(done.append, range(3))
    assert done == [0, 1, 2]
