"""Servers: each is a process on a port of this machine, and ends with the process that starts it."""

import http.client
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from .. import tether
from ..record import ROOT

_START_SECONDS, _STOP_SECONDS = 180, 60
# A server that takes less of a CPU for so long is idle. Threads of OpenMP spin for 0.2 s after their work.
_QUIET_SECONDS, _QUIET_SHARE = 0.4, 0.15
Command = Callable[[int], tether.Command]


class ServerError(Exception):
    """A server does not start, or ended; the text has what it said last and names none of this machine's folders."""


class Server:
    """A server under way, to be closed."""

    def __init__(
        self,
        command: Command,
        *,
        health: str,
        environment: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
    ) -> None:
        """Start it and wait until it is ready.

        Args:
            command: what runs, by port.
            health: the path that answers 200 once it is ready.
            environment: variables besides this process's own.
            cwd: where it runs.

        Raises:
            ServerError: it does not get ready.
        """
        self.port = free_port()
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 (it lives as long as the server)
        self._tethered = tether.Tethered(
            command(self.port),
            output=subprocess.DEVNULL,
            errors=self._log,
            cwd=cwd,
            environment={**os.environ, **(environment or {})},
        )
        end = time.monotonic() + _START_SECONDS
        try:
            while not self._healthy(health):
                if self._tethered.process.poll() is not None or time.monotonic() > end:
                    raise ServerError(f"it did not get ready: {self.last_words()}")
                time.sleep(0.02)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The server's own process."""
        holder = self._tethered.process.pid
        return int(Path(f"/proc/{holder}/task/{holder}/children").read_text().split()[0])

    @property
    def code(self) -> int | None:
        """What it ended with; None while it runs."""
        return self._tethered.process.poll()

    def memory_mb(self) -> dict[str, float]:
        """Resident memory now and at most ever, in MB of 10^6 bytes."""
        lines = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        return {name: int(fields[key].split()[0]) * 1024 / 1e6 for name, key in (("now", "VmRSS"), ("peak", "VmHWM"))}

    def cpu_seconds(self) -> float:
        """CPU time of all its threads so far."""
        # After its name, which may hold anything; see proc(5).
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self) -> float:
        """Wait until it has ended; the seconds.

        Raises:
            ServerError: it goes on.
        """
        start = time.perf_counter()
        try:
            self._tethered.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise ServerError(f"it still runs after {_STOP_SECONDS} s") from None
        return time.perf_counter() - start

    def last_words(self) -> str:
        """The last line that it wrote to stderr."""
        self._log.seek(0)
        lines = self._log.read().strip().splitlines()
        return lines[-1].replace(f"{ROOT}/", "") if lines else "it said nothing"

    def log(self) -> str:
        """All that it wrote to stderr."""
        self._log.seek(0)
        return self._log.read()

    def close(self) -> None:
        """End it at once."""
        self._tethered.close()
        self._log.close()

    def _healthy(self, path: str) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def settle(servers: Iterable[Server]) -> None:
    """Wait until none of them does anything: some go on with the work of clients that have left.

    Raises:
        ServerError: one goes on and on.
    """
    end = time.monotonic() + _STOP_SECONDS
    busy = list(servers)
    while busy:
        before = [server.cpu_seconds() for server in busy]
        time.sleep(_QUIET_SECONDS)
        taken = [server.cpu_seconds() - start for server, start in zip(busy, before, strict=True)]
        busy = [server for server, each in zip(busy, taken, strict=True) if each > _QUIET_SHARE * _QUIET_SECONDS]
        if busy and time.monotonic() > end:
            raise ServerError(f"it still works {_STOP_SECONDS} s after its last client left")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
