"""Runs tokenized sentences on the machine's cores: a little work on all of them jointly, much of it one batch a core.

One session whose threads share each run answers a few sentences soonest; runs side by side on one-thread sessions
finish a lot of them soonest, since nothing has to be divided or waited for (`docs/decisions/016-speed-of-pieces.md`).
Each session is opened when it is first asked for: an encoder asks for the first at its start, to be warm, and for the
other with its first bulk work. From then on the process holds the weights as each session packs them, unless
``optimize_for`` leaves it with one session for both.

A GPU has one session for all work, and its workers are there to have the next runs laid out while one computes.
"""

import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .artifact.manifest import Manifest
from .errors import ArtifactError, ClosedError
from .inputs import OptimizeFor
from .schedule import Limits, plan
from .session.opening import open_session
from .session.session import Session, SessionOptions

# Batches under way on a GPU: one that computes, one that is laid out, one whose vectors are copied.
_GPU_RUNS = 3


class Runner:
    """The sessions and worker threads of one process; `submit` may be called from many threads at once."""

    def __init__(
        self,
        artifact: Path,
        *,
        device: str,
        threads: int,
        optimize_for: OptimizeFor = "both",
        limits: Limits | None = None,
        manifest: Manifest | None = None,
    ) -> None:
        """Prepare to run the graph in ``artifact``; nothing is opened yet.

        Args:
            artifact: its folder.
            device: "cpu", "cuda" or "cuda:N".
            threads: threads to keep busy.
            optimize_for: "both"; "latency" for the joint session alone, which runs batches in turn; "throughput" for
                the one-thread session alone.
            limits: the sizes to schedule by.
            manifest: the artifact's, if it was read; if another one lies there when a session is opened, that raises.
        """
        self._artifact = artifact
        self._manifest = manifest
        self._device = device
        # The threads of each session, and how many batches run side by side.
        on_cpu = device == "cpu"
        self._joint_threads = 1 if optimize_for == "throughput" or not on_cpu else threads
        self._single_threads = threads if optimize_for == "latency" and on_cpu else 1
        self._abreast = _GPU_RUNS if not on_cpu else 1 if optimize_for == "latency" else threads
        self._limits = limits or Limits()
        self._opening = threading.Lock()
        self._closed = False
        self._mixed = True  # what the manifest says, from the first session on
        self._sessions: dict[int, Session] = {}  # by their threads
        self._workers: ThreadPoolExecutor | None = None

    def submit(self, ids: Sequence[list[int]]) -> "Pending":
        """Run sentences of these token ids: at once if they are few, else on the workers.

        A few of several lengths, in a graph that does not mix them, are several small runs: side by side, too.

        Returns:
            The vectors, ready or under way.

        Raises:
            ClosedError: after `close`.
        """
        lengths = [len(i) for i in ids]
        total = sum(lengths)
        limits = self._limits
        if total <= limits.batch_tokens:
            session = self.joint()
            batches = plan(lengths, limits, mixed=self._mixed)
            if self._mixed or self._abreast == 1 or len(batches) <= 1:
                return Pending([(b, _done(run_batch(session, [ids[i] for i in b]))) for b in batches])
        session = self.single()
        # With less than a full batch a worker, smaller batches keep every worker busy.
        share = max(limits.full_batch_tokens, -(-total // self._abreast))
        batches = plan(lengths, replace(limits, batch_tokens=min(limits.batch_tokens, share)), mixed=self._mixed)
        # Laid end to end here, not on the worker: the lists of ids, five times the size, are not kept until then.
        inputs = [(b, *_end_to_end([ids[i] for i in b])) for b in batches]
        # All of them or none: `close` has its turn before or after.
        with self._opening:
            workers = self._pool()
            return Pending([(b, workers.submit(session.run, *arrays)) for b, *arrays in inputs])

    def joint(self) -> Session:
        """The session for a few sentences: its threads share every run (with "throughput" it has one).

        Raises:
            ClosedError: after `close`.
        """
        return self._session(self._joint_threads)

    def single(self) -> Session:
        """The session for much work: each run is on its worker's thread alone (with "latency" it is the joint one).

        Raises:
            ClosedError: after `close`.
        """
        return self._session(self._single_threads)

    def _session(self, threads: int) -> Session:
        with self._opening:
            self._refuse_if_closed()
            if threads not in self._sessions:
                self._sessions[threads] = self._open(threads)
            return self._sessions[threads]

    def _open(self, threads: int) -> Session:
        expected = self._manifest or Manifest.read(self._artifact)
        session = open_session(self._artifact, expected, SessionOptions(device=self._device, threads=threads))
        # Read after the graph: what was replaced before or while it was read shows here.
        if Manifest.read(self._artifact).identity != expected.identity:
            raise ArtifactError(f"{self._artifact}: was replaced since it was opened; open a new Encoder")
        self._mixed = expected.layout != "even"
        return session

    def _pool(self) -> ThreadPoolExecutor:
        self._refuse_if_closed()
        if self._workers is None:
            self._workers = ThreadPoolExecutor(self._abreast, thread_name_prefix="simcse-engine")
        return self._workers

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise ClosedError("this encoder is closed; open a new one")

    def close(self) -> None:
        """Let submitted batches end, stop the workers, free the sessions."""
        with self._opening:
            workers = self._workers
            self._closed = True
            self._sessions = {}
            self._workers = None
        if workers is not None:
            workers.shutdown()

    def abandon(self) -> None:
        """In a forked child: keep the parent's sessions from ever being destroyed here (see `Session.abandon`)."""
        for session in self._sessions.values():
            session.abandon()


class Pending:
    """Vectors under way."""

    def __init__(self, parts: list[tuple[list[int], "Future[NDArray[np.float32]]"]]) -> None:
        self._parts = parts

    def write(self, out: NDArray[np.float32], advance: Callable[[int], Any] | None = None) -> NDArray[np.float32]:
        """Wait for all of them, once, and write them into ``out`` [sentences, dimension], in the sentences' order.

        Args:
            out: float32, a row a sentence submitted.
            advance: called with a number of sentences whenever so many more are done.

        Returns:
            ``out``.
        """
        # Each part is let go as soon as it is written, so that a window's vectors are not in memory twice.
        self._parts.reverse()
        while self._parts:
            positions, future = self._parts.pop()
            out[positions] = future.result()
            if advance is not None:
                advance(len(positions))
        return out

    def cancel(self) -> None:
        """Drop what has not begun."""
        for _, future in self._parts:
            future.cancel()


def _done(vectors: NDArray[np.float32]) -> "Future[NDArray[np.float32]]":
    future: Future[NDArray[np.float32]] = Future()
    future.set_result(vectors)
    return future


def run_batch(session: Session, ids: Sequence[list[int]]) -> NDArray[np.float32]:
    """Lay the sentences end to end and run them: float32 [len(ids), dimension]."""
    return session.run(*_end_to_end(ids))


def _end_to_end(ids: Sequence[list[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    lengths = np.array([len(i) for i in ids], np.int64)
    return np.fromiter(itertools.chain.from_iterable(ids), np.int64, int(lengths.sum())), lengths
