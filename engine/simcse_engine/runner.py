"""Tokenized sentences → vectors on the machine's cores or GPUs: few on all cores jointly, many one batch per core.

Runs whose work all threads share answer a few sentences soonest. Runs side by side, on one thread each, finish many
sentences soonest, since nothing is divided or waited for (docs/decisions/008-two-ways-to-run.md). Our kernels run both
ways in one session. In the runtime's operators each way has a session of its own, opened at its first use: the joint
one when an encoder warms up, the other with its first bulk work. From then on the process holds the weights as each
session packs them, unless ``optimize_for`` leaves one session for both.

A GPU has one session for all work; its workers lay out the next runs while one computes. Of several devices, the one
that is the least busy takes the next run, so that a faster one takes more (docs/decisions/040-several-devices.md).
"""

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .artifact.manifest import Manifest
from .errors import ClosedError
from .inputs import OptimizeFor
from .machine.limits import naming_limits
from .replica import Replica
from .schedule import Limits, limits_for, make_batches, shared
from .session.kernels import NO_KERNELS, Kernels
from .session.session import Session


class Runner:
    """The replicas and worker threads of one process; `submit` may be called from many threads at once.

    Attributes:
        limits: the sizes of batches, and of the windows that are submitted.
        replicas: the graph on each device.
        side_by_side: how many threads, each with runs of its own, keep the devices busy.
        abandoned: whether this process is a forked child, and the sessions and workers its parent's.
    """

    def __init__(
        self,
        artifact: Path,
        manifest: Manifest,
        *,
        devices: Sequence[str],
        threads: int,
        optimize_for: OptimizeFor = "both",
        kernels: Kernels = NO_KERNELS,
        limits: Limits | None = None,
    ) -> None:
        """Prepare to keep devices of one kind busy with the graph in ``artifact``; nothing is opened yet.

        On the CPU that is so many threads, of which each replica has its share, at least one. "latency" has only the
        joint session, which runs batches in turn; "throughput" only the one-thread session. The usual limits of
        batches are those of the artifact's graph in ``kernels``.
        """
        self.abandoned = False
        self._manifest = manifest
        count = len(devices)
        self.replicas = tuple(
            Replica(
                artifact,
                manifest,
                device,
                threads=threads // count + (place < threads % count),
                optimize_for=optimize_for,
                kernels=kernels,
            )
            for place, device in enumerate(devices)
        )
        self.side_by_side = sum(replica.side_by_side for replica in self.replicas)
        self.limits = limits or limits_for(manifest, devices[0], kernels=kernels.variant is not None, replicas=count)
        self._mixed = manifest.layout != "even" or kernels.variant is not None
        self._lock = threading.Lock()
        self._closed = False
        self._workers: ThreadPoolExecutor | None = None

    def submit(self, ids: Sequence[list[int]], skipped: int = 0) -> "Pending":
        """Run sentences, given by their token ids: at once if they are few, else on the workers.

        Pooling leaves out so many first tokens of each, see `Session.run`.

        A few of several lengths, in a graph that does not mix lengths, are several small runs: side by side, too.
        """
        self._refuse_if_closed()
        lengths = [len(sentence) for sentence in ids]
        total = sum(lengths)
        limits = self.limits
        if total <= limits.batch_tokens:
            batches = make_batches(lengths, limits, mixed=self._mixed)
            if self._mixed or self.side_by_side == 1 or len(batches) <= 1:
                sessions = self._sessions(Replica.joint)
                parts = []
                # No comprehension: before Python 3.12 a cell of it would keep the sessions of one that fails.
                for batch in batches:
                    parts.append((batch, _done(self._run(sessions, *_end_to_end(ids, batch), skipped))))
                return Pending(parts)
        # Here, and not on the workers: what cannot be opened is known before anything runs.
        sessions = self._sessions(Replica.single)
        batches = make_batches(lengths, shared(limits, lengths, self.side_by_side), mixed=self._mixed)
        # Laid end to end here, not on the worker: so the lists of ids, five times the size, need not wait for it.
        inputs = [_end_to_end(ids, batch) for batch in batches]
        # All of them or none: `close` comes before or after.
        with self._lock:
            self._refuse_if_closed()
            if self._workers is None:
                self._workers = ThreadPoolExecutor(self.side_by_side, thread_name_prefix="simcse-engine")
            futures = [self._workers.submit(self._run, sessions, *arrays, skipped) for arrays in inputs]
        return Pending(list(zip(batches, futures, strict=True)))

    def run(self, ids: Sequence[list[int]], skipped: int = 0) -> NDArray[np.float32]:
        """Run sentences on the calling thread alone, beside whatever else runs: float32 [sentences, dimension].

        Pooling leaves out so many first tokens of each.
        """
        sessions = self._sessions(Replica.single)
        batches = make_batches([len(sentence) for sentence in ids], self.limits, mixed=self._mixed)
        vectors = np.empty((len(ids), self._manifest.dimension), np.float32)
        for batch in batches:
            vectors[batch] = self._run(sessions, *_end_to_end(ids, batch), skipped)
        return vectors

    def warm_up(self, ids: Sequence[list[int]]) -> None:
        """Open the joint session of each replica, one after the other, and run sentences there."""
        for replica in self.replicas:
            replica.run(replica.joint(), *_end_to_end(ids, range(len(ids))), 0)

    @property
    def includes_prompts(self) -> bool:
        """Whether pooling takes a prompt's tokens along."""
        return self._manifest.include_prompt

    def joint(self) -> Session:
        """The first replica's session for a few sentences."""
        return self.replicas[0].joint()

    def single(self) -> Session:
        """The first replica's session for bulk work."""
        return self.replicas[0].single()

    def _sessions(self, of: Callable[[Replica], Session]) -> dict[Replica, Session]:
        """A session of each replica: a call has them from its beginning, so that `close` leaves it to its end."""
        return {replica: of(replica) for replica in self.replicas}

    def _run(
        self,
        sessions: dict[Replica, Session],
        input_ids: NDArray[np.int64],
        lengths: NDArray[np.int64],
        skipped: int,
    ) -> NDArray[np.float32]:
        with self._least_busy() as replica:
            return replica.run(sessions[replica], input_ids, lengths, skipped)

    @contextlib.contextmanager
    def _least_busy(self) -> Iterator[Replica]:
        """The replica for the next run: the first of those whose threads have the least to do."""
        with self._lock:
            replica = min(self.replicas, key=lambda each: each.running / each.side_by_side)
            replica.running += 1
        try:
            yield replica
        finally:
            with self._lock:
                replica.running -= 1

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise ClosedError("this encoder is closed; open a new one")

    def close(self) -> None:
        """Let submitted batches end, stop the workers, free the sessions."""
        with self._lock:
            workers = self._workers
            self._closed = True
            self._workers = None
        if workers is not None:
            workers.shutdown()
        for replica in self.replicas:
            replica.close()

    def abandon(self) -> None:
        """In a forked child: its sessions and workers have their threads in the parent."""
        self.abandoned = True


class Pending:
    """Vectors under way."""

    def __init__(self, parts: list[tuple[list[int], "Future[NDArray[np.float32]]"]]) -> None:
        self._parts = parts

    def write(self, out: NDArray[np.float32], written: Callable[[list[int]], Any] | None = None) -> NDArray[np.float32]:
        """Wait for the vectors, once, and write them in the order of the sentences: float32 [sentences, dimension].

        ``written`` is called with the positions of the sentences that were just written, run by run.
        """
        # Each part is released as soon as it is written, so that a window's vectors are not in memory twice.
        self._parts.reverse()
        while self._parts:
            positions, future = self._parts.pop()
            with naming_limits:
                out[positions] = future.result()
            if written is not None:
                written(positions)
        return out

    def cancel(self) -> None:
        """Drop the runs that have not begun."""
        for _, future in self._parts:
            future.cancel()


def _done(vectors: NDArray[np.float32]) -> "Future[NDArray[np.float32]]":
    future: Future[NDArray[np.float32]] = Future()
    future.set_result(vectors)
    return future


def _end_to_end(ids: Sequence[list[int]], batch: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The token ids of a batch's sentences, one after the other, and their lengths."""
    lengths = np.array([len(ids[i]) for i in batch], np.int64)
    return np.fromiter(itertools.chain.from_iterable(ids[i] for i in batch), np.int64, int(lengths.sum())), lengths
