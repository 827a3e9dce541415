"""What does a request cost the event loop? Microseconds of its thread, whole and with one part made another way.

The engine's part is left out: a text's vector is there at once. One client sends request after request on a connection.
"""

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

from simcse_engine import Encoder
from simcse_engine.batching import Encoded
from simcse_engine.serve import ServeOptions
from simcse_engine.serve.application import Application
from simcse_engine.serve.http.messages import Request, Response
from simcse_engine.serve.routes.route import Route
from simcse_engine.serve.server.address import Address
from simcse_engine.serve.server.server import Server, loop_factory
from simcse_engine.serve.service import Service

from ..inputs import MINILM
from ..record import write_result
from ..statistics import spreads
from ..turns import alternate, no_options

REQUESTS = 3000
ROUNDS = 7
BODY = b'{"inputs": "A man plays a guitar."}'
REQUEST = b"POST /embed HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
    len(BODY),
    BODY,
)


class Waiting(Application):
    """Has a task and a timer for each request, to see whether its client leaves."""

    async def _answer(self, route: Route, request: Request) -> Response:
        work = asyncio.ensure_future(super()._answer(route, request))
        await asyncio.wait({work}, timeout=0.05)
        return work.result()


class _Nothing:
    """Metrics that count nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


def main() -> None:
    no_options(__doc__)
    about = {
        "question": "microseconds of the event loop's thread a request, without the engine's part",
        **{"requests": REQUESTS, "rounds": ROUNDS},
    }
    with Encoder(MINILM.artifact("int8")) as encoder:
        ways: dict[str, Callable[[int], float]] = {
            "as it is": lambda count: _cost(encoder, count),
            "uvicorn's own protocol": lambda count: _cost(encoder, count, protocol="httptools"),
            "a task and a timer a request": lambda count: _cost(encoder, count, application=Waiting),
            "no metrics": lambda count: _cost(encoder, count, metrics=_Nothing()),
            "asyncio's own loop": lambda count: _cost(encoder, count, loop=asyncio.new_event_loop),
        }
        figures = alternate(ways, [REQUESTS] * ROUNDS, warm_up=REQUESTS // 10)
    write_result("request", about, {"microseconds": spreads(figures)})


def _cost(
    encoder: Encoder,
    count: int,
    *,
    application: type[Application] = Application,
    protocol: Any = None,
    metrics: Any = None,
    loop: Any = None,
) -> float:
    service = Service(encoder, None, ServeOptions())
    encoded = asyncio.run(service.batching.encode_counted(["A man plays a guitar."]))

    async def known(*_: object, **__: object) -> Encoded:
        return encoded

    answers, address, started = application(service), Address(port=0), threading.Event()
    if metrics is not None:
        service.metrics = metrics
    server = Server(answers, drain_s=1, started=started.set, insisted=lambda _: None)
    if protocol is not None:
        server.config.http = protocol
    bound = address.bind()
    address.listen(bound, 8)
    port = bound.getsockname()[1]

    def serve() -> None:
        with asyncio.Runner(loop_factory=loop or loop_factory()) as runner:
            runner.run(server.serve([bound]))

    with mock.patch.object(service.batching, "encode_counted", known):
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            started.wait()
            while not service.ready:
                time.sleep(0.01)
            return 1e6 * _seconds(port, count, time.pthread_getcpuclockid(thread.ident or 0)) / count
        finally:
            server.should_exit = True
            thread.join()


def _seconds(port: int, count: int, clock: int) -> float:
    """What a thread works for so many requests."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        _ask(client, count // 10)
        before = time.clock_gettime(clock)
        _ask(client, count)
        return time.clock_gettime(clock) - before


def _ask(client: socket.socket, count: int) -> None:
    answers = client.makefile("rb")
    for _ in range(count):
        client.sendall(REQUEST)
        size = 0
        while (line := answers.readline()) != b"\r\n":
            if line.startswith(b"content-length:"):
                size = int(line.split()[1])
        answers.read(size)


if __name__ == "__main__":
    main()
