"""The other end of `workers.protocol`: a contestant's process, which waits while it is not asked."""

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from harness import ROOT

from .environment import PeerError
from .models import BENCHMARKS
from .workers.protocol import Load


class Process:
    """A contestant's process.

    Attributes:
        python: the interpreter of its environment.
        module: its worker.
        loaded: what it has loaded.
    """

    loaded: Load | None

    def __init__(self, python: Path, module: str) -> None:
        self.python, self.module = python, module
        self.loaded = None
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (it lives as long as the process)
        self._process = subprocess.Popen(
            [python, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=BENCHMARKS,
            # NumPy's own threads would take the CPUs from the batches that run while it pools.
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )

    def another(self) -> Self:
        """A fresh process of the same kind."""
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
        seconds: float = self._ask(do="encode", texts=texts)["seconds"]
        return seconds

    def each(self, texts: Sequence[str]) -> list[float]:
        """Encode texts one by one; the seconds each took."""
        seconds: list[float] = self._ask(do="each", texts=texts)["seconds"]
        return seconds

    def vectors(self, texts: Sequence[str], *, alone: bool = False) -> NDArray[np.float32]:
        """What it makes of texts, all in one call or each alone."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "vectors.npy")
            self._ask(do="save", texts=texts, to=str(path), alone=alone)
            found: NDArray[np.float32] = np.load(path)
        return found

    def peak_mb(self) -> float:
        """The most memory that it ever held, in MB of 10^6 bytes."""
        peak: float = self._ask(do="peak")["mb"]
        return peak

    def close(self) -> None:
        """End the process."""
        self._process.communicate()
        self._errors.close()

    def _ask(self, **request: Any) -> dict[str, Any]:
        try:
            print(json.dumps(request), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            code = self._process.wait()
            self._errors.seek(0)
            last = self._errors.read().strip().rpartition("\n")[2]
            raise PeerError(f"its process ended with {code}: {last}".replace(f"{ROOT}/", ""))
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise PeerError(answer["error"].replace(f"{ROOT}/", ""))
        return answer
