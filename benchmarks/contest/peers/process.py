"""The client of `workers.protocol`: starts a contestant's process, and sends it requests."""

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from ...record import ROOT
from . import workers
from .environment import PeerError
from .workers.protocol import Load

WORKERS = workers.__name__


class Process:
    """A contestant's process. The first request starts it, and so does the first one after `close`.

    It ends with this process, however that ends: its requests come through a pipe that the system closes.
    """

    def __init__(self, python: Path, module: str) -> None:
        """For an environment's interpreter and a worker's full name."""
        self.python, self.module = python, module
        self.loaded: Load | None = None
        self._running: tuple[subprocess.Popen[str], IO[str]] | None = None

    def start(self) -> None:
        """Start, unless it runs, and import meanwhile."""
        if self._running is not None:
            return
        errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (it lives as long as the process)
        process = subprocess.Popen(
            [self.python, "-m", WORKERS, self.module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=ROOT,
            # It ends itself with its whole group, and Ctrl-C does not reach it: this process decides what that means.
            process_group=0,
            # NumPy's own threads would take the CPUs from the batches that run while it pools.
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )
        self._running = process, errors

    def another(self) -> Self:
        """A process of the same kind, not started."""
        return type(self)(self.python, self.module)

    def ready(self) -> None:
        """Wait until it has imported everything."""
        self._ask(do="ready")

    def load(self, what: Load) -> None:
        """Load, unless just that is loaded."""
        if what != self.loaded:
            self.loaded = None
            self._ask(do="load", **asdict(what))
            self.loaded = what

    def encode(self, texts: Sequence[str]) -> float:
        """Encode texts in one call; the seconds it took."""
        return self._ask(do="encode", texts=texts)["seconds"]

    def each(self, texts: Sequence[str]) -> list[float]:
        """Encode texts one by one; the seconds each took."""
        return self._ask(do="each", texts=texts)["seconds"]

    def vectors(self, texts: Sequence[str], *, alone: bool = False) -> NDArray[np.float32]:
        """The vectors of texts, encoded all in one call or each alone."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "vectors.npy")
            self._ask(do="save", texts=texts, to=str(path), alone=alone)
            return np.load(path)

    def peak_mb(self) -> float:
        """The most memory that it ever held, in MB of 10^6 bytes."""
        return self._ask(do="peak")["mb"]

    def close(self) -> None:
        """End the process, if it runs."""
        if self._running is not None:
            (process, errors), self._running, self.loaded = self._running, None, None
            # Closes its pipes, and waits for the process; not for the pipes to end, which others may hold.
            with process, errors:
                pass

    def _ask(self, **request: Any) -> dict[str, Any]:
        self.start()
        process, errors = self._running
        try:
            print(json.dumps(request), file=process.stdin, flush=True)
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            code = process.wait()
            errors.seek(0)
            last = errors.read().strip().rpartition("\n")[2]
            raise PeerError(f"its process ended with {code}: {last}".replace(f"{ROOT}/", ""))
        response: dict[str, Any] = json.loads(line)
        if "error" in response:
            raise PeerError(response["error"].replace(f"{ROOT}/", ""))
        return response
