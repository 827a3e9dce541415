"""Who records is alone, and whoever works is not beside it."""

import threading
from concurrent.futures import ThreadPoolExecutor

from simcse_engine.session.cuda.turns import Turns

WAIT_S = 30


def test_many_work_at_once() -> None:
    turns, met = Turns(), threading.Barrier(3)

    def work() -> int:
        with turns.working():
            return met.wait(WAIT_S)

    with ThreadPoolExecutor(3) as pool:
        assert sorted(pool.map(lambda _: work(), range(3))) == [0, 1, 2]


def test_recording_is_alone() -> None:
    turns, inside, worst = Turns(), [0, 0], []
    counted = threading.Lock()

    def step(kind: int) -> None:
        with turns.recording() if kind else turns.working():
            with counted:
                inside[kind] += 1
                worst.append(tuple(inside))
            with counted:
                inside[kind] -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(step, [i % 5 == 0 for i in range(3000)]))
    assert all(recording == 0 or (working, recording) == (0, 1) for working, recording in worst)
    assert inside == [0, 0]


def test_who_records_is_not_kept_waiting_by_those_who_come_later() -> None:
    turns, begun, order = Turns(), threading.Event(), []

    def record() -> None:
        with turns.recording():
            order.append("recorded")

    def work() -> None:
        with turns.working():
            order.append("worked")

    with turns.working():
        recorder = threading.Thread(target=record)
        recorder.start()
        while not turns._waiting:
            begun.wait(0.001)
        later = threading.Thread(target=work)
        later.start()
        assert order == []
    for thread in (recorder, later):
        thread.join(WAIT_S)
    assert order == ["recorded", "worked"]


def test_an_error_gives_the_turn_back() -> None:
    turns = Turns()
    for turn in (turns.working, turns.recording, turns.working, turns.recording):
        try:
            with turn():
                raise KeyError
        except KeyError:
            continue
