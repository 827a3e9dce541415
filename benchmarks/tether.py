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
from collections.abc import Sequence
from pathlib import Path

Command = Sequence[str | os.PathLike[str]]


def run(
    command: Command,
    *,
    stdin: str | None = None,
    captured: bool = False,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, tied to this process; ``captured`` returns its output instead of showing it."""
    ours, theirs = os.pipe()
    pipe = subprocess.PIPE if captured else None
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, str(ours), *command],
            pass_fds=(ours,),
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=pipe,
            stderr=pipe,
            text=True,
            cwd=cwd,
        )
    except BaseException:
        os.close(theirs)
        raise
    finally:
        os.close(ours)
    try:
        out, errors = process.communicate(stdin)
    finally:
        # Where it still runs, this ends it.
        os.close(theirs)
        process.wait()
    return subprocess.CompletedProcess(command, process.returncode, out, errors)


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
