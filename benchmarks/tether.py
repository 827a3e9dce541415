"""Commands that do not outlive the process that runs them, however it ends: Ctrl-C, `kill`, `kill -9`.

This process holds one end of a pipe, which the system closes when the process is gone. Then the reader of the other end
kills the command with all that it started. The reader is this file as a script, which imports nothing else:

    python tether.py DESCRIPTOR COMMAND…
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

Command = Sequence[str | os.PathLike[str]]


class Tethered:
    """A command under way, tied to this process."""

    def __init__(
        self,
        command: Command,
        *,
        stdin: int | IO[str] | None = None,
        output: int | IO[str] | None = None,
        errors: int | IO[str] | None = None,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        ours, self._end = os.pipe()
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-S", __file__, str(ours), *command],
                pass_fds=(ours,),
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                stdout=output,
                stderr=errors,
                text=True,
                cwd=cwd,
                env=environment,
            )
        except BaseException:
            os.close(self._end)
            raise
        finally:
            os.close(ours)

    def close(self) -> None:
        """End the command where it still runs, and all that it started."""
        os.close(self._end)
        self.process.wait()


def run(
    command: Command,
    *,
    stdin: str | None = None,
    captured: bool = False,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, tied to this process; ``captured`` returns its output instead of showing it."""
    pipe = subprocess.PIPE if captured else None
    tethered = Tethered(command, stdin=None if stdin is None else subprocess.PIPE, output=pipe, errors=pipe, cwd=cwd)
    try:
        out, errors = tethered.process.communicate(stdin)
    finally:
        tethered.close()
    return subprocess.CompletedProcess(command, tethered.process.returncode, out, errors)


def _hold(descriptor: int, command: list[str]) -> int:
    # Ctrl-C reaches every process in the terminal, as `timeout` does the whole group; the parent decides what it means.
    # A handler, since the command would inherit that a signal is ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    child = subprocess.Popen(command, start_new_session=True)

    def watch() -> None:
        os.read(descriptor, 1)
        os.killpg(child.pid, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
    return child.wait()


if __name__ == "__main__":
    code = _hold(int(sys.argv[1]), sys.argv[2:])
    # As a shell says that a signal ended it.
    sys.exit(code if code >= 0 else 128 - code)
