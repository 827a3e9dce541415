"""The queue's promises, against jobs of all sizes: every text once and in order, and nobody waits long."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcse_engine.batching.job import Job
from simcse_engine.batching.queue import QUANTUM, FairQueue, Part

LONGEST = 200
WEIGHTS = st.lists(st.integers(1, LONGEST), min_size=1, max_size=40)


def job(weights: Sequence[int]) -> Job:
    made = Job([str(position) for position in range(len(weights))], "silent", 1)
    for position, weight in enumerate(weights):
        made.need(position, weight)
    return made


def weight(parts: list[Part]) -> int:
    return sum(sum(part.job.weights[part.start : part.stop]) for part in parts)


def drained(queue: FairQueue, budget: int) -> list[list[Part]]:
    runs = []
    while queue:
        runs.append(queue.take(budget))
        assert runs[-1], "a text at least, while one waits"
    return runs


@given(jobs=st.lists(WEIGHTS, max_size=20), budget=st.integers(1, 3000), late=st.lists(WEIGHTS, max_size=20))
def test_every_text_once_in_order_and_within_the_budget(
    jobs: list[list[int]], budget: int, late: list[list[int]]
) -> None:
    queue, made = FairQueue(), [job(weights) for weights in jobs]
    for each in made:
        queue.put(each)
    runs = [queue.take(budget)]
    for weights in late:
        made.append(job(weights))
        queue.put(made[-1])
    runs += drained(queue, budget)
    assert queue.tokens == 0
    ran: dict[int, list[int]] = {id(each): [] for each in made}
    for parts in runs:
        assert weight(parts) < budget + LONGEST
        assert len({id(part.job) for part in parts}) == len(parts)
        for part in parts:
            ran[id(part.job)] += part.positions
    assert [ran[id(each)] for each in made] == [each.missing for each in made]


@given(
    events=st.lists(st.one_of(st.none(), WEIGHTS, st.integers(0, 30)), max_size=60),
    budget=st.integers(1, 1500),
)
def test_tokens_are_what_waits(events: list[list[int] | int | None], budget: int) -> None:
    """None takes a run, a list comes as a job, a number is a job that leaves."""
    queue, made = FairQueue(), []
    for event in events:
        if event is None:
            assert all(not part.job.over for part in queue.take(budget))
        elif isinstance(event, list):
            made.append(job(event))
            queue.put(made[-1])
        elif event < len(made):
            made[event].abandoned = True
        left = sum(sum(each.weights[each.taken :]) for each in made if not each.over)
        # Whoever left is counted until its turn comes.
        assert queue.tokens >= left
    while queue.take(budget):
        pass
    assert queue.tokens == 0
    assert not queue


@pytest.mark.parametrize("huge_ones", [1, 7])
def test_small_jobs_beside_huge_ones_are_soon_done(huge_ones: int) -> None:
    queue = FairQueue()
    for _ in range(huge_ones):
        queue.put(job([10] * 5000))
    queue.take(1024)
    alone = 0
    for _ in range(20):
        small = [job([12]) for _ in range(5)]
        for each in small:
            queue.put(each)
        runs = [queue.take(1024), queue.take(1024)]
        # They are in the next run, and one of two is for them alone.
        assert [part.job for part in runs[0] if part.job in small] == small
        assert runs[1]
        assert not any(part.job in small for part in runs[1])
        alone += [part.job for part in runs[0]] == small
    assert alone >= 9


def test_small_jobs_never_starve_a_huge_one() -> None:
    queue, huge = FairQueue(), job([10] * 5000)
    queue.put(huge)
    queue.take(1024)
    for _ in range(100):
        before = huge.taken
        for _ in range(2):
            while queue.tokens < 100_000:
                queue.put(job([12]))
            queue.take(1024)
        if huge.taken == 5000:
            break
        assert huge.taken - before >= QUANTUM // 10


def test_huge_jobs_share_evenly() -> None:
    queue, huge = FairQueue(), [job([10] * 5000) for _ in range(3)]
    for each in huge:
        queue.put(each)
    for _ in range(30):
        queue.take(1024)
    taken = [each.taken for each in huge]
    assert min(taken) > 0
    assert max(taken) - min(taken) <= 2 * (QUANTUM // 10 + 1)
