"""Ray in tests: an environment of its own, programs in it that start a Ray, and all their processes, to be killed."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support.environments import environment

ENGINE = Path(__file__).resolve().parents[2] / "engine"


def python_with_ray() -> Path:
    """The Python of an environment with Ray Data and what the engine needs."""
    return environment(
        "ray",
        *("ray[data]==2.60.0", "numpy", "onnxruntime", "pyarrow", "tokenizers", "huggingface-hub", "tqdm", "usearch"),
    )


class RayProgram:
    """A program that is running, and what it has started.

    Attributes:
        process: the program itself.
    """

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process
        # By number and start: a number may be another's later on.
        self._seen = {(process.pid, _facts(process.pid)[1])}

    def processes(self, name: str = "") -> list[int]:
        """All of its processes that are still there, or those whose command begins so.

        They are known by those that started them. One whose parent has ended is known if it was seen before.
        """
        there = {int(folder.name): _facts(int(folder.name)) for folder in Path("/proc").glob("[0-9]*")}
        seen = {number for number, start in self._seen if there.get(number, (0, 0, ""))[1] == start}
        while more := {number for number, (parent, _, _) in there.items() if parent in seen} - seen:
            seen |= more
        self._seen |= {(number, there[number][1]) for number in seen}
        return [number for number in seen if there[number][2].startswith(name)]

    def kill(self, *processes: int) -> None:
        """Kill some of its processes, without a moment to clean up."""
        self.processes()
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


def _facts(process: int) -> tuple[int, int, str]:
    """A process's parent, when it was started, and its command."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        if fields[0] != "Z":
            return int(fields[1]), int(fields[19]), Path(f"/proc/{process}/cmdline").read_text(errors="replace")
    return 0, 0, ""


@contextlib.contextmanager
def running(*command: str | Path, **options: Any) -> Iterator[RayProgram]:
    """Run a command of that environment's Python; with the block all of its processes end."""
    settings = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "RAY_", "OMP_"))}
    settings |= {
        "PYTHONPATH": str(ENGINE),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    }
    process = subprocess.Popen([python_with_ray(), *map(str, command)], env=settings, **options)
    program = RayProgram(process)
    try:
        yield program
    finally:
        program.kill(process.pid)
        process.communicate()
        # Ray's own processes end with the one that started them, some of them a minute later.
        for _ in range(100):
            if not (left := program.processes()):
                break
            program.kill(*left)
            time.sleep(0.1)


ENCODE = ("-m", "simcse_engine.cli", "encode")
