"""wrk, the generator of closed loops: each connection sends its next request when its last one is answered.

wrk adds waits that it thinks it would have seen at a fixed rate ("coordinated omission"); `measured` takes them out
again. Fixed rates are `generator`'s.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from .. import tether
from ..record import BENCH

# wrk is a package of Debian and Ubuntu, as is the library that it needs.
_FOLDER, _PACKAGES = BENCH / "wrk", ("wrk", "libluajit-5.1-2")
_SCRIPT = Path(__file__).with_name("wrk.lua")
# Waits between that are no failures of the server under test, but of wrk's own default of 2 s.
_TIMEOUT = "60s"


@dataclass(frozen=True, kw_only=True)
class Closed:
    """What a closed loop saw."""

    seconds: float
    answered: int  # requests, whatever their status
    refused: int  # of these, with a status of 400 or more
    broken: int  # connections that failed, and requests without an answer
    waits: NDArray[np.float64]  # seconds of each answer, sorted

    @property
    def rate(self) -> float:
        """Requests a second that were served."""
        return (self.answered - self.refused) / self.seconds

    @classmethod
    def of(cls, output: str, connections: int) -> Self:
        """Read what wrk printed.

        Raises:
            ValueError: it has no line of our script's.
        """
        lines = [line for line in output.splitlines() if line.startswith("{")]
        if len(lines) != 1:
            raise ValueError(f"wrk printed {len(lines)} summaries, not one:\n{output}")
        counted = json.loads(lines[0])
        requests, duration = counted["requests"], counted["microseconds"]
        waits = measured(dict(counted["waits"]), requests=requests, microseconds=duration, connections=connections)
        return cls(
            seconds=duration / 1e6,
            answered=requests,
            refused=counted["refused"],
            broken=counted["broken"],
            waits=np.repeat(np.array(list(waits)) / 1e6, list(waits.values())),
        )


def measured(counts: dict[int, int], *, requests: int, microseconds: int, connections: int) -> dict[int, int]:
    """The counts of waits, by microseconds, without those that wrk made up.

    For each wait that is longer than two mean ones, wrk counts that wait less one mean, less two, and so on. It goes
    from the shortest to the longest, so taking away from the longest to the shortest leaves what was measured.
    """
    mean = microseconds // max(requests // connections, 1)
    real = dict(counts)
    for wait in sorted(counts, reverse=True):
        if wait < 2 * mean:
            break
        for made_up in range(wait - mean, mean, -mean):
            real[made_up] -= real[wait]
    return {wait: count for wait, count in sorted(real.items()) if count}


def run(
    port: int, path: str, bodies: Sequence[bytes], *, connections: int, seconds: float, accept: str = "application/json"
) -> Closed:
    """Load a server of this machine; each connection takes the next body."""
    program, environment = _program()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "bodies")
        file.write_bytes(b"".join(body + b"\n" for body in bodies))
        options = ["-t1", f"-c{connections}", f"-d{max(round(seconds), 1)}s", "--timeout", _TIMEOUT, "-s", _SCRIPT]
        command = ["env", *environment, program, *options, f"http://127.0.0.1:{port}", "--", file, path, accept]
        done = tether.run(command, captured=True)
    if done.returncode:
        raise RuntimeError(f"wrk ended with {done.returncode}: {done.stderr or done.stdout}")
    return Closed.of(done.stdout, connections)


@cache
def _program() -> tuple[Path, list[str]]:
    """wrk, and variables that it needs."""
    found = shutil.which("wrk")
    if found is not None:
        return Path(found), []
    if not _FOLDER.is_dir():
        part = _FOLDER.with_name(f"{_FOLDER.name}-{os.getpid()}.part")
        part.mkdir(parents=True)
        # Downloaded and unpacked, which needs no rights.
        subprocess.run(["apt-get", "download", *_PACKAGES], cwd=part, check=True, capture_output=True)
        for archive in part.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", archive.name, "."], cwd=part, check=True)
        part.rename(_FOLDER)
    libraries = {str(path.parent) for path in _FOLDER.rglob("libluajit*.so*")}
    return _FOLDER / "usr/bin/wrk", [f"LD_LIBRARY_PATH={':'.join(libraries)}"]
