"""FairQueue: which texts run next, when many callers wait (deficit round robin; Shreedhar and Varghese 1995)."""

from collections import deque
from typing import NamedTuple

from .job import Job, estimated_tokens

# A turn's tokens. A request of a few sentences is done in one turn; a huge one waits for the others after each.
QUANTUM = 512


class Part(NamedTuple):
    """Texts of a job that run together."""

    job: Job
    start: int
    stop: int


class FairQueue:
    """Jobs that wait. Each in turn gives texts of about `QUANTUM` tokens, until the run is full.

    A small job that comes after a huge one is in the next run. Not safe for threads: the batcher's alone uses it.
    """

    def __init__(self, max_tokens: int) -> None:
        """``max_tokens``: of a text, which is cut there."""
        self._jobs: deque[Job] = deque()
        self._max_tokens = max_tokens

    def __len__(self) -> int:
        return len(self._jobs)

    def put(self, job: Job) -> None:
        """Let a job wait for its turn."""
        self._jobs.append(job)

    def take(self, budget: int) -> list[Part]:
        """The texts of the next run: about ``budget`` tokens, at least one text if any waits."""
        parts: dict[int, Part] = {}
        while self._jobs and budget > 0:
            job = self._jobs.popleft()
            if job.over:
                continue
            start, quantum = job.taken, QUANTUM
            while job.taken < len(job.texts) and quantum > 0:
                tokens = estimated_tokens(job.texts[job.taken], self._max_tokens)
                quantum -= tokens
                budget -= tokens
                job.taken += 1
            # A job's turns in one run follow each other in its texts.
            earlier = parts.get(id(job))
            parts[id(job)] = Part(job, start if earlier is None else earlier.start, job.taken)
            if job.taken < len(job.texts):
                self._jobs.append(job)
        return list(parts.values())
