"""Threads that do work together."""

import threading

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
