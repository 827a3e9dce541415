"""Replica: the graph on one device, with the sessions that run it there."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .artifact.manifest import Manifest
from .errors import ArtifactError, ClosedError, ProviderError, SimCSEError
from .inputs import OptimizeFor
from .machine.limits import naming_limits
from .session.kernels import Kernels
from .session.library import first_line
from .session.opening import open_session
from .session.session import Session

# Batches under way on a GPU: one computes, one is laid out, the vectors of one are copied.
_GPU_RUNS = 3


class Replica:
    """An artifact's graph on one device; several threads may run it at once. Nothing is opened before it is needed.

    Attributes:
        device: "cpu", "cuda" or "cuda:N".
        side_by_side: how many threads, each with runs of its own, keep the device busy.
        running: how many runs are under way, as whoever hands them out counts.
    """

    def __init__(
        self,
        artifact: Path,
        manifest: Manifest,
        device: str,
        *,
        threads: int,
        optimize_for: OptimizeFor,
        kernels: Kernels,
    ) -> None:
        """Prepare to keep so many of the CPU's threads busy, if it runs there.

        If another manifest than ``manifest`` lies there when a session is opened, that raises.
        """
        self.device = device
        self.running = 0
        self._artifact = artifact
        self._manifest = manifest
        self._kernels = kernels
        # The threads of each session, and the number of batches side by side.
        if device == "cpu":
            self._joint_threads = 1 if optimize_for == "throughput" else threads
            self._single_threads = threads if optimize_for == "latency" else 1
            self.side_by_side = 1 if optimize_for == "latency" else threads
        else:
            self._joint_threads = self._single_threads = 1
            self.side_by_side = _GPU_RUNS
        self._lock = threading.Lock()
        self._closed = False
        self._sessions: dict[int, Session] = {}  # by their threads

    def joint(self) -> Session:
        """The session for a few sentences: its threads share every run (with "throughput" it has one)."""
        return self._session(self._joint_threads)

    def single(self) -> Session:
        """The session for bulk work: each run takes only its worker's thread (with "latency" it is the joint one)."""
        return self._session(self._single_threads)

    def run(
        self, session: Session, input_ids: NDArray[np.int64], lengths: NDArray[np.int64], skipped: int
    ) -> NDArray[np.float32]:
        """`Session.run` of one of its sessions; errors name the device."""
        with _naming(self.device):
            return session.run(input_ids, lengths, skipped)

    def _session(self, threads: int) -> Session:
        with self._lock, _naming(self.device):
            if self._closed:
                raise ClosedError("this encoder is closed; open a new one")
            if threads not in self._sessions:
                opened = next(iter(self._sessions.values()), None)
                shared = None if opened is None else opened.shared_by(threads)
                self._sessions[threads] = self._open(threads) if shared is None else shared
            return self._sessions[threads]

    def _open(self, threads: int) -> Session:
        session = open_session(self._artifact, self._manifest, self.device, threads=threads, kernels=self._kernels)
        # Read after the graph: so a replacement before or while it was read shows.
        if Manifest.read(self._artifact).identity != self._manifest.identity:
            raise ArtifactError(f"{self._artifact}: was replaced since it was opened; open a new Encoder")
        return session

    def close(self) -> None:
        """Free the sessions; those that a call has end with it."""
        with self._lock:
            self._closed = True
            self._sessions = {}


@contextlib.contextmanager
def _naming(device: str) -> Iterator[None]:
    """Let errors on a GPU say on which: of several, one may fail."""
    try:
        with naming_limits:
            yield
    except SimCSEError as error:
        if device != "cpu" and device not in str(error) and not isinstance(error, ClosedError):
            error.args = f"{device}: ", *error.args
        raise
    except OSError:
        raise  # of a file, whatever the device
    except Exception as error:  # onnxruntime's exceptions have no common base of their own
        if device == "cpu":
            raise
        raise ProviderError(f"{device}: {first_line(error)}; run simcse-engine doctor") from error
