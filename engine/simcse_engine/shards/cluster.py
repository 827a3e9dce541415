"""A job's parts handed to workers on Ray, one part at a time to each.

A worker writes its shards itself, into a folder that all machines see: nothing but plans and counts goes through Ray.
Shards appear whole, and one that is there is not encoded again. So whatever is killed, a worker or whoever hands out
the parts, nothing is lost and nothing is twice: another worker repeats the part of one that has ended, and the next run
goes on with the parts that are left.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Self

from ..artifact.manifest import Manifest
from ..errors import ProviderError, RuntimeMissingError, SimCSEError
from .folder import written
from .plan import Part
from .worker import Done, Job, Progress, Worker

# A part that ends so many workers before any of them has written a shard, by memory perhaps, will end the next too.
_ATTEMPTS = 4
# What a Ray of our own holds in memory for others: nothing but counts.
_STORE_BYTES = 80_000_000


@dataclass(frozen=True, kw_only=True)
class Actors:
    """How many workers, and how much of a machine each has.

    Attributes:
        number: at most so many; None for as many as fit.
        cpus: of each; None for as many as ``number`` workers can have, or all of the smallest machine's.
        gpus: of each.
    """

    number: int | None = None
    cpus: int | None = None
    gpus: int = 0

    @classmethod
    def of(cls, manifest: Manifest, device: str | None, *, number: int | None, cpus: int | None) -> Self:
        """Those that run an artifact on a device: Ray shows a worker only those GPUs that it asks for."""
        return cls(number=number, cpus=cpus, gpus=0 if manifest.target == "cpu" or device == "cpu" else 1)


@dataclass(frozen=True)
class Cluster:
    """Workers of a job on a Ray that is connected."""

    ray: ModuleType
    job: Job
    actors: Actors

    def run_all(self, parts: Sequence[Part], progress: Progress) -> Iterator[tuple[Part, Done]]:
        """Have all parts done; each is yielded when it is, in no order. Errors as those of `run_parts`."""
        for part, done in run_parts(self.ray, self.job, parts, self.actors):
            progress(done.rows, part)
            yield part, done


@contextlib.contextmanager
def connected(job: Job, actors: Actors) -> Iterator[Cluster]:
    """Connect to the Ray of this machine or of RAY_ADDRESS, or start one for the length of the block.

    Raises:
        RuntimeMissingError: Ray is not installed.
        ProviderError: it cannot be reached or started.
    """
    try:
        import ray
    except ImportError as error:
        raise RuntimeMissingError(f"Ray is not installed ({error}); pip install 'simcse-engine[ray]'") from error
    quiet: dict[str, Any] = {"logging_level": "warning", "log_to_driver": False}
    handler = signal.getsignal(signal.SIGTERM)
    try:
        try:
            ray.init(address="auto", **quiet)
        except ConnectionError:
            if os.environ.get("RAY_ADDRESS"):
                raise
            # One that is ours for a while tells nobody of it.
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            ray.init(address="local", include_dashboard=False, object_store_memory=_STORE_BYTES, **quiet)
    except (OSError, RuntimeError, ValueError) as error:
        raise ProviderError(f"Ray cannot be reached or started: {error}") from error
    if threading.current_thread() is threading.main_thread():
        # Ray's would end the process at once.
        signal.signal(signal.SIGTERM, handler)
    # Ray prints what happens to workers on stdout, where the command's report goes; some of it at the end.
    with contextlib.redirect_stdout(sys.stderr):
        try:
            yield Cluster(ray, job, actors)
        finally:
            ray.shutdown()


def run_parts(ray: ModuleType, job: Job, parts: Sequence[Part], actors: Actors) -> Iterator[tuple[Part, Done]]:
    """Have all parts done; each is yielded when it is, in no order.

    Raises:
        SimCSEError: what a worker raised; or ProviderError, where no machine has room for one, or a part ends them all.
    """
    number, cpus = _shares(ray, actors)
    # One that has ended is not started again by Ray, which knows nothing of what it has written.
    remote = ray.remote(num_cpus=cpus, num_gpus=actors.gpus, max_restarts=0, max_task_retries=0)(_Actor)
    waiting = iter(parts)
    under_way: dict[Any, tuple[Attempt, Any]] = {}

    def hand_out(attempt: Attempt | None, worker: Any) -> None:
        if attempt is not None:
            under_way[worker.run.remote(attempt.part)] = attempt, worker

    def begin() -> Attempt | None:
        part = next(waiting, None)
        return None if part is None else Attempt(part, written(job.folder, part))

    def finish(reference: Any) -> Iterator[tuple[Part, Done]]:
        # A worker that has nothing to do leaves its place to another once no name here holds it.
        attempt, worker = under_way.pop(reference)
        try:
            done = _result(ray, reference)
        except ray.exceptions.RayActorError as error:
            ray.kill(worker)
            hand_out(attempt.next(written(job.folder, attempt.part), error), remote.remote(job))
            return
        yield attempt.part, done
        hand_out(begin(), worker)

    try:
        for _ in range(min(number, len(parts))):
            hand_out(begin(), remote.remote(job))
        while under_way:
            (reference, *_), _ = ray.wait(list(under_way), num_returns=1)
            yield from finish(reference)
    finally:
        for _, worker in under_way.values():
            ray.kill(worker)


@dataclass(frozen=True)
class Attempt:
    """A worker's try at a part: the shards that were there before it, and how many tries before it wrote none."""

    part: Part
    shards: int
    vain: int = 0

    def next(self, shards: int, error: Exception) -> "Attempt":
        """The try after one that ended with its worker; ProviderError after too many that wrote nothing."""
        vain = 0 if shards > self.shards else self.vain + 1
        if vain == _ATTEMPTS:
            raise ProviderError(
                f"{self.part.source.path}: {_ATTEMPTS} workers on Ray ended, one after the other, before any of them "
                f"had written a shard: {error}"
            ) from error
        return Attempt(self.part, shards, vain)


class _Actor:
    """A worker that opens its encoder with its first part: Ray passes on what methods raise, not constructors."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._worker: Worker | None = None

    def run(self, part: Part) -> Done:
        if self._worker is None:
            self._worker = Worker(self._job)
        return self._worker.run(part)


def _result(ray: ModuleType, reference: Any) -> Done:
    try:
        done: Done = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, SimCSEError):
            raise error.cause from error
        raise
    return done


def _shares(ray: ModuleType, actors: Actors) -> tuple[int, int]:
    """How many workers, and the CPUs of each: one on each machine, with as many as the smallest has, by default."""
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    rooms = [(int(each.get("CPU", 0)), int(each.get("GPU", 0))) for each in machines]
    rooms = [(cpus, gpus) for cpus, gpus in rooms if cpus and gpus >= actors.gpus]
    if not rooms:
        raise ProviderError(f"Ray has no machine with {'a GPU' if actors.gpus else 'CPUs'} now; add one")

    def fitting(cpus: int) -> int:
        return sum(min(each // cpus, gpus // actors.gpus if actors.gpus else each) for each, gpus in rooms)

    most = max(cpus for cpus, _ in rooms)
    if actors.cpus is not None:
        cpus = actors.cpus
    elif actors.number is None:
        cpus = min(cpus for cpus, _ in rooms)
    else:
        cpus = next((cpus for cpus in range(most, 1, -1) if fitting(cpus) >= actors.number), 1)
    if not fitting(cpus):
        raise ProviderError(f"no machine of this Ray has {cpus} CPUs; the largest has {most}")
    return min(fitting(cpus), actors.number or fitting(cpus)), cpus
