"""A service in a thread of this process, behind real sockets, whose engine a test can hold up."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from simcse_engine import Encoder
from simcse_engine.serve import ServeOptions
from simcse_engine.serve.application import Application
from simcse_engine.serve.server.address import Address
from simcse_engine.serve.server.server import Server, loop_factory
from simcse_engine.serve.service import Service
from simcse_export import ExportOptions
from support.maker import Maker, short_calibration
from support.sockets import Client


@dataclass
class Running:
    """A service that runs.

    Attributes:
        service: what answers.
        port: where it listens.
        hold: its engine begins no run while this is set.
        began: is set once a run waits for that.
        ran: how many texts each run had.
    """

    service: Service
    server: Server
    port: int
    hold: threading.Event
    began: threading.Event
    ran: list[int]

    def connect(self) -> Client:
        """A client with a connection of its own."""
        return Client(self.port)

    def post(self, path: str, document: Any, **headers: str) -> Any:
        """Ask on a connection of its own; the answer, with ``status``, ``headers`` and ``content``."""
        with self.connect() as client:
            return client.post(path, document, **headers)

    def get(self, path: str, **headers: str) -> Any:
        """Ask on a connection of its own."""
        with self.connect() as client:
            return client.get(path, **headers)

    def metric(self, line: str) -> float:
        """The value of the metric whose line begins so."""
        for each in self.get("/metrics").content.decode().splitlines():
            name, _, value = each.rpartition(" ")
            if name == line:
                return float(value)
        return 0.0

    def until(self, true: Callable[[], bool]) -> None:
        """Wait for something that the server does."""
        for _ in range(3000):
            if true():
                return
            threading.Event().wait(0.01)
        pytest.fail("waited in vain")


Start = Callable[..., Running]
_LOOP = loop_factory()


@contextmanager
def running(artifact: Path, options: ServeOptions, loop: Callable[[], Any] | None) -> Iterator[Running]:
    with Encoder(artifact, threads=1) as encoder:
        hold, free, began, ran = threading.Event(), threading.Event(), threading.Event(), []
        run = encoder.run

        def run_held(ids: Any, **options: Any) -> Any:
            ran.append(len(ids))
            began.set()
            while hold.is_set():
                free.wait(0.005)
            return run(ids, **options)

        service = Service(encoder, None, options)
        encoder.run = run_held  # type: ignore[method-assign]
        address = Address(port=0)
        bound, started = address.bind(), threading.Event()
        address.listen(bound, 64)
        server = Server(Application(service), drain_s=5, started=started.set, insisted=lambda _: None)
        port = bound.getsockname()[1]

        def serve() -> None:
            with asyncio.Runner(loop_factory=loop) as runner:
                runner.run(server.serve([bound]))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            assert started.wait(60)
            it = Running(service, server, port, hold, began, ran)
            it.until(lambda: service.ready)
            ran.clear()
            began.clear()
            yield it
        finally:
            hold.clear()
            server.should_exit = True
            thread.join(60)
            assert not thread.is_alive()


@pytest.fixture(scope="module")
def start(artifact: Path) -> Iterator[Start]:
    """Starts a service of `artifact` with some options, which ends with the module's tests.

    ``loop`` makes its event loop; it is the command's unless said otherwise.
    """
    with ExitStack() as stack:
        yield lambda loop=_LOOP, **options: stack.enter_context(running(artifact, ServeOptions(**options), loop))


@pytest.fixture(scope="session")
def maker(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    return Maker(tmp_path_factory)


@pytest.fixture(scope="session")
def int8(maker: Maker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small artifact in int8, with unit vectors."""
    calibration = short_calibration(tmp_path_factory)
    options = ExportOptions(pooler="cls", max_tokens=32, precision="int8", calibration=calibration)
    return maker.artifact("bert", options)
