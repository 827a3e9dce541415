"""FairQueue: which texts run next, when many callers wait (deficit round robin; Shreedhar and Varghese 1995)."""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from .job import Job

# A turn's tokens. A call of a few sentences is done in one turn; a huge one waits for the others after each.
QUANTUM = 512


class Part(NamedTuple):
    """Texts of a job that run together: those at ``job.missing[start:stop]``."""

    job: Job
    start: int
    stop: int

    @property
    def positions(self) -> list[int]:
        """Of the texts, among the caller's."""
        return self.job.missing[self.start : self.stop]


class FairQueue:
    """Jobs that wait. Each in turn gives texts of about `QUANTUM` tokens, until the run is full.

    Jobs that had no turn yet go first, and every other run is theirs alone: so a small one is soon done, however many
    huge ones wait. The other runs begin with a job that had a turn, so that new ones never starve it. Not safe for
    threads.

    Attributes:
        tokens: how many wait, as estimated.
    """

    def __init__(self) -> None:
        self.tokens = 0
        self._new: deque[Job] = deque()
        self._begun: deque[Job] = deque()
        self._for_new = False  # the last run was for new jobs alone

    def __bool__(self) -> bool:
        return bool(self._new or self._begun)

    def put(self, job: Job) -> None:
        """Let a job wait for its turn."""
        self._new.append(job)
        self.tokens += job.weight

    def clear(self) -> None:
        """Forget all jobs."""
        self._new.clear()
        self._begun.clear()
        self.tokens = 0

    def take(self, budget: int) -> list[Part]:
        """The texts of the next run: about ``budget`` tokens, at least one text if any waits."""
        parts: dict[int, Part] = {}
        while self and not parts:
            self._for_new = bool(self._new) and not self._for_new
            for job in self._turns():
                if job.over:
                    self.tokens -= sum(job.weights[job.taken :])
                    continue
                start = job.taken
                tokens = _take_up(job, min(budget, QUANTUM))
                self.tokens -= tokens
                budget -= tokens
                # A job's turns in one run follow each other in its texts.
                earlier = parts.get(id(job))
                parts[id(job)] = Part(job, start if earlier is None else earlier.start, job.taken)
                if job.taken < len(job.missing):
                    self._begun.append(job)
                if budget <= 0:
                    break
        return list(parts.values())

    def _turns(self) -> Iterator[Job]:
        """The jobs whose turn it is, one after the other."""
        if self._begun and not self._for_new:
            yield self._begun.popleft()
        while self._new:
            yield self._new.popleft()
        while self._begun and not self._for_new:
            yield self._begun.popleft()


def _take_up(job: Job, budget: int) -> int:
    """Take up texts of about ``budget`` tokens; their tokens."""
    tokens = 0
    while tokens < budget and job.taken < len(job.missing):
        tokens += job.weights[job.taken]
        job.taken += 1
    return tokens
