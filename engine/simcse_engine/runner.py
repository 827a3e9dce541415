"""Tokenized sentences → vectors on the machine's cores: few sentences on all cores jointly, many one batch per core.

Runs whose work all threads share answer a few sentences soonest. Runs side by side, on one thread each, finish many
sentences soonest, since nothing is divided or waited for (docs/decisions/008-two-ways-to-run.md). Our kernels run both
ways in one session. In the runtime's operators each way has a session of its own, opened at its first use: the joint
one when an encoder warms up, the other with its first bulk work. From then on the process holds the weights as each
session packs them, unless ``optimize_for`` leaves one session for both.

A GPU has one session for all work; its workers lay out the next runs while one computes.
"""

import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .artifact.manifest import Manifest
from .errors import ArtifactError, ClosedError
from .inputs import OptimizeFor
from .machine.limits import naming_limits
from .schedule import Limits, limits_for, make_batches, shared
from .session.kernels import NO_KERNELS, Kernels
from .session.opening import open_session
from .session.session import Session

# Batches under way on a GPU: one computes, one is laid out, the vectors of one are copied.
_GPU_RUNS = 3


class Runner:
    """The sessions and worker threads of one process; `submit` may be called from many threads at once.

    Attributes:
        limits: the sizes of batches, and of the windows that are submitted.
        abandoned: whether this process is a forked child, and the sessions and workers its parent's.
    """

    def __init__(
        self,
        artifact: Path,
        manifest: Manifest,
        *,
        device: str,
        threads: int,
        optimize_for: OptimizeFor = "both",
        kernels: Kernels = NO_KERNELS,
        limits: Limits | None = None,
    ) -> None:
        """Prepare to keep so many threads busy with the graph in ``artifact``; nothing is opened yet.

        "latency" has only the joint session, which runs batches in turn; "throughput" only the one-thread session. If
        another manifest than ``manifest`` lies there when a session is opened, that raises. The usual limits of
        batches are those of the artifact's graph in ``kernels``.
        """
        self.abandoned = False
        self._artifact = artifact
        self._manifest = manifest
        self._device = device
        # The threads of each session, and the number of batches side by side.
        if device == "cpu":
            self._joint_threads = 1 if optimize_for == "throughput" else threads
            self._single_threads = threads if optimize_for == "latency" else 1
            self._side_by_side = 1 if optimize_for == "latency" else threads
        else:
            self._joint_threads = self._single_threads = 1
            self._side_by_side = _GPU_RUNS
        self._kernels = kernels
        self.limits = limits or limits_for(manifest, device, kernels=kernels.variant is not None)
        self._mixed = manifest.layout != "even" or kernels.variant is not None
        self._lock = threading.Lock()
        self._closed = False
        self._sessions: dict[int, Session] = {}  # by their threads
        self._workers: ThreadPoolExecutor | None = None

    def submit(self, ids: Sequence[list[int]], skipped: int = 0) -> "Pending":
        """Run sentences, given by their token ids: at once if they are few, else on the workers.

        Pooling leaves out so many first tokens of each, see `Session.run`.

        A few of several lengths, in a graph that does not mix lengths, are several small runs: side by side, too.
        """
        lengths = [len(sentence) for sentence in ids]
        total = sum(lengths)
        limits = self.limits
        if total <= limits.batch_tokens:
            batches = make_batches(lengths, limits, mixed=self._mixed)
            if self._mixed or self._side_by_side == 1 or len(batches) <= 1:
                session = self.joint()
                parts = []
                # No comprehension: before Python 3.12 a cell of it would keep the session, see `_releasing_frames`.
                for batch in batches:
                    parts.append((batch, _done(session.run(*_end_to_end(ids, batch), skipped))))
                return Pending(parts)
        session = self.single()
        batches = make_batches(lengths, shared(limits, lengths, self._side_by_side), mixed=self._mixed)
        # Laid end to end here, not on the worker: so the lists of ids, five times the size, need not wait for it.
        inputs = [_end_to_end(ids, batch) for batch in batches]
        # All of them or none: `close` comes before or after.
        with self._lock:
            self._refuse_if_closed()
            if self._workers is None:
                self._workers = ThreadPoolExecutor(self._side_by_side, thread_name_prefix="simcse-engine")
            futures = [self._workers.submit(session.run, *arrays, skipped) for arrays in inputs]
        return Pending(list(zip(batches, futures, strict=True)))

    def run(self, ids: Sequence[list[int]], skipped: int = 0) -> NDArray[np.float32]:
        """Run sentences on the calling thread alone, beside whatever else runs: float32 [sentences, dimension].

        Pooling leaves out so many first tokens of each.
        """
        session = self.single()
        batches = make_batches([len(sentence) for sentence in ids], self.limits, mixed=self._mixed)
        vectors = np.empty((len(ids), self._manifest.dimension), np.float32)
        for batch in batches:
            vectors[batch] = session.run(*_end_to_end(ids, batch), skipped)
        return vectors

    @property
    def includes_prompts(self) -> bool:
        """Whether pooling takes a prompt's tokens along."""
        return self._manifest.include_prompt

    @property
    def side_by_side(self) -> int:
        """How many threads, each with runs of its own, keep the device busy."""
        return self._side_by_side

    def joint(self) -> Session:
        """The session for a few sentences: its threads share every run (with "throughput" it has one)."""
        return self._session(self._joint_threads)

    def single(self) -> Session:
        """The session for bulk work: each run takes only its worker's thread (with "latency" it is the joint one)."""
        return self._session(self._single_threads)

    def _session(self, threads: int) -> Session:
        with self._lock:
            self._refuse_if_closed()
            if threads not in self._sessions:
                opened = next(iter(self._sessions.values()), None)
                shared = None if opened is None else opened.shared_by(threads)
                self._sessions[threads] = self._open(threads) if shared is None else shared
            return self._sessions[threads]

    def _open(self, threads: int) -> Session:
        session = open_session(self._artifact, self._manifest, self._device, threads=threads, kernels=self._kernels)
        # Read after the graph: so a replacement before or while it was read shows.
        if Manifest.read(self._artifact).identity != self._manifest.identity:
            raise ArtifactError(f"{self._artifact}: was replaced since it was opened; open a new Encoder")
        return session

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise ClosedError("this encoder is closed; open a new one")

    def close(self) -> None:
        """Let submitted batches end, stop the workers, free the sessions."""
        with self._lock:
            workers = self._workers
            self._closed = True
            self._sessions = {}
            self._workers = None
        if workers is not None:
            workers.shutdown()

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
