"""The command's server as a process: its signals, its end, its sockets."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest

from simcse_engine import Encoder
from support.commands import TEXTS, start
from support.servers import Server, serving
from support.sockets import Client, request

# A server whose engine takes up nothing until the file is there.
HELD = """
import sys, time
from pathlib import Path
from simcse_engine import Encoder
from simcse_engine.cli.main import main
run = Encoder.run
def held(self, ids, **how):
    if len(ids) == 3:
        print("held", flush=True)
        while not Path(sys.argv[1]).exists():
            time.sleep(0.01)
    return run(self, ids, **how)
Encoder.run = held
sys.exit(main(sys.argv[2:]))
"""


# A server whose engine fails.
BROKEN = """
import sys
from simcse_engine import Encoder
from simcse_engine.cli.main import main
def fail(*_, **__):
    raise OSError("no such device")
Encoder.tokenize = fail
sys.exit(main(sys.argv[1:]))
"""


def until_ready(process: "subprocess.Popen[bytes]", log: Path) -> int:
    """The port of a server that says on stderr that it is ready."""
    for _ in range(6000):
        said = log.read_text()
        if '"event": "ready"' in said:
            return int(said.split("http://127.0.0.1:")[1].split()[0])
        assert process.poll() is None, said
        time.sleep(0.01)
    pytest.fail("waited in vain")


class Held:
    """A server with one request that its engine holds up."""

    def __init__(self, artifact: Path, folder: Path, *flags: str) -> None:
        self.log, self.free = folder / "log", folder / "free"
        with self.log.open("wb") as log:
            args = [str(self.free), "serve", str(artifact), "--port", "0", *flags]
            self.process = subprocess.Popen([sys.executable, "-c", HELD, *args], stdout=subprocess.PIPE, stderr=log)
        port = until_ready(self.process, self.log)
        self.client, self.idle = Client(port), Client(port)
        assert self.idle.get("/ready").status == 200
        self.client.send(request("POST", "/embed", {"inputs": ["a", "b", "c"]}))
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"held\n"

    def said(self) -> str:
        return self.log.read_text()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.kill()
        self.process.communicate()
        self.client.close()
        self.idle.close()


@pytest.fixture
def held(artifact: Path, tmp_path: Path) -> Iterator[Held]:
    with Held(artifact, tmp_path) as it:
        yield it


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_requests_finish(held: Held, number: signal.Signals) -> None:
    held.process.send_signal(number)
    assert held.idle.ended()  # so it has begun to end
    with pytest.raises(ConnectionRefusedError):
        Client(held.client.socket.getpeername()[1])
    held.free.touch()
    assert len(held.client.reply().document) == 3
    assert held.process.wait(60) == 0
    assert "Traceback" not in held.said()


def test_a_second_signal_ends_at_once(held: Held) -> None:
    held.process.send_signal(signal.SIGTERM)
    assert held.idle.ended()
    held.process.send_signal(signal.SIGINT)
    assert held.process.wait(60) == 130
    assert "simcse-engine: ended at once; requests under way were not answered\n" in held.said()


def test_a_drain_that_takes_too_long(artifact: Path, tmp_path: Path) -> None:
    with Held(artifact, tmp_path, "--drain-seconds", "0.2") as held:
        held.process.send_signal(signal.SIGTERM)
        answer = held.client.reply()
        assert answer.status == 503
        assert "ending" in answer.document["error"]
        held.free.touch()
        assert held.process.wait(60) == 1
        assert "1 request took longer than --drain-seconds" in held.said()


def test_a_server_of_a_command(artifact: Path) -> None:
    with serving(artifact) as server:
        vectors = np.array(server.ask("POST", "/embed", {"inputs": TEXTS}).document, np.float32)
        assert server.ask("GET", "/metrics").content.startswith(b"# HELP")
        foreign = server.ask("POST", "/embed", {"inputs": TEXTS}, Host="elsewhere.example")
        assert foreign.status == 421
        assert "'elsewhere.example'" in foreign.document["error"]
        lines = server.said().splitlines()
    assert lines[0].startswith("simcse-engine: serving ")
    assert [json.loads(line)["event"] for line in lines[1:]] == ["ready"]
    with Encoder(artifact) as encoder:
        assert np.array_equal(vectors, encoder.encode(TEXTS))


def test_a_start_that_fails_ends_it(artifact: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", BROKEN, "serve", artifact, "--port", "0"], capture_output=True, timeout=60, check=False
    )
    *lines, last = ended.stderr.decode().splitlines()
    (failed,) = (json.loads(line) for line in lines if line.startswith("{"))
    assert (failed["event"], failed["message"]) == ("warm-up failed", "no such device")
    assert last == "simcse-engine: could not encode, or search, and has ended; the log above says why"
    assert ended.returncode == 1


def test_in_int8_vectors_do_not_depend_on_who_else_asks(int8: Path) -> None:
    words = [
        "a",
        "man",
        "plays",
        "the",
        "guitar",
        "while",
        "some",
        "one",
        "is",
        "walking",
        "on",
        "a",
        "mat",
        "with",
        "the",
        "cat",
    ]
    texts = [" ".join(words[i % 5 : i % 5 + 1 + i % 8]) + f" {i}" for i in range(240)]
    with Encoder(int8) as encoder:
        expected = encoder.encode(texts)
    sizes = [1, 2, 1, 7, 1, 30, 3, 1]

    def ask(client: int) -> list[tuple[int, Any]]:
        with Client(server.address[1]) as connection:
            answers, start = [], 30 * client
            for size in sizes[client:] + sizes[:client]:
                some = texts[start : start + size]
                answers.append((start, connection.post("/embed", {"inputs": some}).document))
                start = (start + size) % (len(texts) - 30)
            return answers

    with serving(int8) as server, ThreadPoolExecutor(len(sizes)) as clients:
        for answers in clients.map(ask, range(len(sizes))):
            for start, vectors in answers:
                assert np.array_equal(np.array(vectors, np.float32), expected[start : start + len(vectors)])


def test_a_socket_in_the_file_system(artifact: Path, tmp_path: Path) -> None:
    path = tmp_path / "s"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    log = tmp_path / "log"
    with log.open("wb") as stderr:
        process = start("serve", artifact, "--uds", path, "--json", stdout=subprocess.PIPE, stderr=stderr)
    try:
        report: list[str] = []
        while "}" not in "".join(report[-1:]):
            report.append(process.stdout.readline().decode())
            assert report[-1]
        assert json.loads("".join(report))["url"] == f"unix:{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(request("GET", "/health", Connection="close"))
            assert client.makefile("rb").read().startswith(b"HTTP/1.1 200 ")
        with start("serve", artifact, "--uds", path, stderr=subprocess.PIPE) as second:
            assert b"another program listens there" in second.stderr.read()
            assert second.wait(60) == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.communicate()
    assert not path.exists()


def test_what_nohup_ignores_is_ignored(artifact: Path, tmp_path: Path) -> None:
    ignoring = lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)  # noqa: E731
    log = tmp_path / "log"
    with log.open("wb") as stderr:
        process = start("serve", artifact, "--port", "0", stderr=stderr, preexec_fn=ignoring)
    try:
        port = until_ready(process, log)
        process.send_signal(signal.SIGHUP)
        with Client(port) as client:
            assert client.post("/embed", {"inputs": "a"}).status == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


def test_access_log(artifact: Path) -> None:
    with serving(artifact, "--access-log", "--log-texts") as server:
        server.ask("POST", "/embed", {"inputs": "a man"}, X_Request_Id="mine")
        server.ask("POST", "/embed", {"inputs": 3})
        process = server.process
        os.kill(process.pid, signal.SIGTERM)
        process.wait(60)
        lines = [json.loads(line) for line in server.said().splitlines()[1:]]
    asked = [line for line in lines if line.get("route") == "/embed"]
    assert [(line["status"], line["level"]) for line in asked] == [(200, "info"), (422, "info")]
    first: dict[str, Any] = asked[0]
    assert (first["request_id"], first["texts"], first["count"]) == ("mine", ["a man"], 1)
    assert first["seconds"] > 0
    assert first["tokens"] > 2


def test_a_key_of_the_environment(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMCSE_API_KEY", "from-the-environment")
    with serving(artifact) as server:
        keyed = Server(server.url, "from-the-environment", server.process, server.log)
        assert server.ask("POST", "/embed", {"inputs": "a"}).status == 401
        assert keyed.ask("POST", "/embed", {"inputs": "a"}).status == 200
