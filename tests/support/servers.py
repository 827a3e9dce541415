"""A server as a user starts it: the command `serve` in a process of its own."""

import http.client
import json
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.commands import start
from support.sockets import Reply

SECONDS = 60
_URL = re.compile(r"http://[^\s\"/]+:\d+")


@dataclass(frozen=True)
class Server:
    """A server that runs.

    Attributes:
        url: where it answers, without a slash at the end.
        key: the API key that it wants; empty for none.
        process: its process.
    """

    url: str
    key: str
    process: "subprocess.Popen[Any]"
    log: Path

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        host, port = self.url.removeprefix("http://").split(":")
        return host, int(port)

    def said(self) -> str:
        """What it wrote to stderr so far."""
        return self.log.read_text(encoding="utf-8")

    def ask(self, method: str, path: str, document: Any = None, **headers: str) -> Reply:
        """Send a request on a connection of its own, with the key.

        Args:
            method: of HTTP.
            path: with the query, if any.
            document: sent as JSON; bytes are sent as they are.
            headers: others, with underscores for dashes.
        """
        body = document if document is None or isinstance(document, bytes) else json.dumps(document).encode()
        sent = {"Content-Type": "application/json"} if body is not None else {}
        sent |= {"Authorization": f"Bearer {self.key}"} if self.key else {}
        connection = http.client.HTTPConnection(*self.address, timeout=SECONDS)
        try:
            connection.request(method, path, body, sent | {name.replace("_", "-"): headers[name] for name in headers})
            answer = connection.getresponse()
            return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()


@contextmanager
def serving(artifact: Path, *flags: str | Path, key: str = "", code: int | None = 0) -> Iterator[Server]:
    """A server that is ready; it is ended by SIGTERM, where it has not ended.

    Fails where it does not become ready, ends with another exit code than ``code`` (None for any), or writes a
    traceback.

    Args:
        artifact: the folder that it serves.
        flags: options of the command.
        key: the API key that it is to want.
        code: the exit code that is expected; minus a signal's number where one kills it.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "stderr"
        options = ["--port", "0", *(["--api-key", key] if key else []), *flags]
        with log.open("wb") as stderr:
            process = start("serve", artifact, *options, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr)
        try:
            server = Server(_url(process, log), key, process, log)
            _wait(server)
            yield server
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            ended = process.wait(SECONDS)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        said = server.said()
        assert "Traceback" not in said, said
        assert code is None or ended == code, f"it ended with {ended}, not {code}, and said:\n{said}"


def _url(process: "subprocess.Popen[Any]", log: Path) -> str:
    """Where it says that it listens."""
    end = time.monotonic() + SECONDS
    while True:
        said = log.read_text(encoding="utf-8")
        if found := _URL.search(said):
            return found[0]
        if process.poll() is not None or time.monotonic() > end:
            pytest.fail(f"it does not say where it listens (exit code {process.poll()}), but:\n{said}")
        time.sleep(0.01)


def _wait(server: Server) -> None:
    """Until it is ready."""
    end = time.monotonic() + SECONDS
    while True:
        with suppress(ConnectionRefusedError):
            if server.ask("GET", "/ready").status == 200:
                return
        if server.process.poll() is not None or time.monotonic() > end:
            pytest.fail(f"it is not ready (exit code {server.process.poll()}), and said:\n{server.said()}")
        time.sleep(0.01)
