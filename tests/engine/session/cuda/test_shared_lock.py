"""Many share the lock, and one that wants it alone gets it."""

import threading
from concurrent.futures import ThreadPoolExecutor

from simcse_engine.session.cuda.shared_lock import SharedLock

WAIT_S = 30


def test_many_share_it_at_once() -> None:
    lock, met = SharedLock(), threading.Barrier(3)

    def work() -> int:
        with lock.shared():
            return met.wait(WAIT_S)

    with ThreadPoolExecutor(3) as pool:
        assert sorted(pool.map(lambda _: work(), range(3))) == [0, 1, 2]


def test_one_has_it_alone() -> None:
    lock, inside, worst = SharedLock(), [0, 0], []
    counted = threading.Lock()

    def step(kind: int) -> None:
        with lock.alone() if kind else lock.shared():
            with counted:
                inside[kind] += 1
                worst.append(tuple(inside))
            with counted:
                inside[kind] -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(step, [i % 5 == 0 for i in range(3000)]))
    assert all(recording == 0 or (working, recording) == (0, 1) for working, recording in worst)
    assert inside == [0, 0]


def test_a_thread_that_waits_to_be_alone_goes_before_later_ones() -> None:
    lock, begun, order = SharedLock(), threading.Event(), []

    def record() -> None:
        with lock.alone():
            order.append("recorded")

    def work() -> None:
        with lock.shared():
            order.append("worked")

    with lock.shared():
        recorder = threading.Thread(target=record)
        recorder.start()
        while not lock._waiting:
            begun.wait(0.001)
        later = threading.Thread(target=work)
        later.start()
        assert order == []
    for thread in (recorder, later):
        thread.join(WAIT_S)
    assert order == ["recorded", "worked"]


def test_an_error_releases_it() -> None:
    lock = SharedLock()
    for hold in (lock.shared, lock.alone, lock.shared, lock.alone):
        try:
            with hold():
                raise KeyError
        except KeyError:
            continue
