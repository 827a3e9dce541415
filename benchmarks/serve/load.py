"""Runs the generator, and says what it saw in figures."""

import contextlib
import pickle
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .. import tether
from ..record import ROOT
from .plan import Plan, Seen

RANKS = (50, 99, 99.9)


class Load:
    """A generator under way. It ends with its plan, or at the end of the ``with`` block."""

    def __init__(self, plan: Plan) -> None:
        self._folder = tempfile.TemporaryDirectory()
        plan_file, self._seen = (Path(self._folder.name, name) for name in ("plan", "seen"))
        plan_file.write_bytes(pickle.dumps(plan))
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (it lives as long as the generator)
        command = [sys.executable, "-m", "benchmarks.serve.generator", plan_file, self._seen]
        self._tethered = tether.Tethered(command, errors=self._errors, cwd=ROOT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self._tethered.close()
        self._errors.close()
        self._folder.cleanup()

    def ended(self, within: float) -> bool:
        """Whether it has ended, or does within so many seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._tethered.process.wait(within)
        return self._tethered.process.poll() is not None

    def seen(self) -> Seen:
        """Wait for its end; what it saw."""
        if self._tethered.process.wait():
            self._errors.seek(0)
            raise RuntimeError(f"the generator failed:\n{self._errors.read()}")
        return pickle.loads(self._seen.read_bytes())


def run(plan: Plan) -> Seen:
    """What a generator sees with this plan."""
    with Load(plan) as load:
        return load.seen()


def percentiles(seconds: NDArray[np.float64]) -> dict[str, float]:
    """Percentiles in milliseconds; none of nothing."""
    return {f"p{rank:g}": float(np.percentile(seconds, rank)) * 1e3 for rank in RANKS} if len(seconds) else {}


def figures(*runs: Seen) -> dict[str, Any]:
    """Of one load, in one run or several: statuses, waits of what was served, how late and busy the generator was."""
    statuses = sum((Counter(seen.statuses()) for seen in runs), Counter())
    lag = np.concatenate([seen.lag() for seen in runs])
    return {
        "statuses": dict(statuses),
        "ms": percentiles(np.concatenate([seen.waits() for seen in runs])),
        "generator": {"lag_ms": percentiles(lag), "share_of_a_cpu": max(seen.cpu_share for seen in runs)},
    }
