"""A job's parts handed to workers on Ray, one part at a time to each.

A worker writes its shards itself, into a folder that all machines see: nothing but plans and counts goes through Ray.
Shards appear whole, and one that is there is not encoded again. So whatever is killed, a worker or whoever hands out
the parts, nothing is lost and nothing is twice: Ray starts the worker again and repeats its part, and the next run goes
on with the parts that are left.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from ..errors import ProviderError, RuntimeMissingError, SimCSEError
from .plan import Part
from .worker import Done, Job, Worker

# A part that ends so many workers, by memory perhaps, will end the next too.
_ATTEMPTS = 4
# What a Ray of our own holds in memory for others: nothing but counts.
_STORE_BYTES = 80_000_000


@dataclass(frozen=True, kw_only=True)
class Actors:
    """How many workers, and how much of a machine each has; None for one on each machine, with all of its CPUs."""

    number: int | None = None
    cpus: int | None = None


@contextlib.contextmanager
def connected() -> Iterator[ModuleType]:
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
            yield ray
        finally:
            ray.shutdown()


def run_parts(ray: ModuleType, job: Job, parts: Iterable[Part], actors: Actors) -> Iterator[tuple[Part, Done]]:
    """Have all parts done; each is yielded when it is, in no order.

    Raises:
        SimCSEError: what a worker raised; or ProviderError, where no machine has room for one, or a part ends them all.
    """
    number, cpus = _shares(ray, actors)
    # Where a worker has ended, Ray starts another and gives it the same part.
    restarting = {"num_cpus": cpus, "max_restarts": -1, "max_task_retries": _ATTEMPTS - 1}
    remote = ray.remote(**restarting)(_Actor)
    waiting = iter(parts)
    under_way: dict[Any, tuple[Part, Any]] = {}

    def hand_out(worker: Any) -> None:
        part = next(waiting, None)
        if part is not None:
            under_way[worker.run.remote(part)] = part, worker

    try:
        for _ in range(number):
            hand_out(remote.remote(job))
        while under_way:
            (reference, *_), _ = ray.wait(list(under_way), num_returns=1)
            part, worker = under_way.pop(reference)
            yield part, _result(ray, reference, part)
            hand_out(worker)
    finally:
        for _, worker in under_way.values():
            ray.kill(worker)


class _Actor:
    """A worker that opens its encoder with its first part: Ray passes on what methods raise, not constructors."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._worker: Worker | None = None

    def run(self, part: Part) -> Done:
        if self._worker is None:
            self._worker = Worker(self._job)
        return self._worker.run(part)


def _result(ray: ModuleType, reference: Any, part: Part) -> Done:
    try:
        done: Done = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, SimCSEError):
            raise error.cause from error
        raise
    except ray.exceptions.RayActorError as error:
        raise ProviderError(
            f"{part.source.path}: a worker on Ray ended, and {_ATTEMPTS - 1} more after it: {error}"
        ) from error
    return done


def _shares(ray: ModuleType, actors: Actors) -> tuple[int, int]:
    """How many workers, and the CPUs of each: one on each machine, with as many as the smallest has, by default."""
    machines = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    machines = [cpus for cpus in machines if cpus]
    if not machines:
        raise ProviderError("Ray has no machine with CPUs now; add one")
    cpus = min(machines) if actors.cpus is None else actors.cpus
    fitting = sum(each // cpus for each in machines)
    if not fitting:
        raise ProviderError(f"no machine of this Ray has {cpus} CPUs; the largest has {max(machines)}")
    # More may fit once a cluster has grown: Ray starts those when there is room.
    return (fitting if actors.number is None else actors.number), cpus
