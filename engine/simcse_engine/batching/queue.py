"""FairQueue: which texts run next, when many callers wait (deficit round robin; Shreedhar and Varghese 1995)."""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from .job import Job

# A turn's tokens. A small job is done in one turn; a large one waits for the others after each.
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

    Small jobs go first, and every other run is theirs alone: so they are soon done, however many large ones wait. The
    other runs begin with the large job whose turn it is, so that small ones never starve it. Not safe for threads.

    Attributes:
        tokens: how many wait, as estimated.
    """

    def __init__(self) -> None:
        self.tokens = 0
        self._small: deque[Job] = deque()
        self._large: deque[Job] = deque()
        self._for_small = False  # the last run was for small jobs alone

    def __bool__(self) -> bool:
        return bool(self._small or self._large)

    def put(self, job: Job) -> None:
        """Let a job wait for its turn."""
        (self._small if job.weight <= QUANTUM else self._large).append(job)
        self.tokens += job.weight

    def clear(self) -> None:
        """Forget all jobs."""
        self._small.clear()
        self._large.clear()
        self.tokens = 0

    def take(self, budget: int) -> list[Part]:
        """The texts of the next run: about ``budget`` tokens, at least one text if any waits."""
        parts: dict[int, Part] = {}
        while self and not parts:
            self._for_small = bool(self._small) and not self._for_small
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
                    if job.weight > QUANTUM:
                        self._large.append(job)
                    else:  # the run is full
                        self._small.appendleft(job)
                if budget <= 0:
                    break
        return list(parts.values())

    def _turns(self) -> Iterator[Job]:
        """The jobs whose turn it is, one after the other."""
        if self._large and not self._for_small:
            yield self._large.popleft()
        while self._small:
            yield self._small.popleft()
        while self._large and not self._for_small:
            yield self._large.popleft()


def _take_up(job: Job, budget: int) -> int:
    """Take up texts of about ``budget`` tokens; their tokens."""
    tokens = 0
    while tokens < budget and job.taken < len(job.missing):
        tokens += job.weights[job.taken]
        job.taken += 1
    return tokens
