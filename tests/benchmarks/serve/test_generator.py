"""The generator against a server of the test's, which answers as it is told."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from benchmarks.serve.arrivals import arrivals
from benchmarks.serve.client import Client
from benchmarks.serve.plan import Item, Plan, Seen
from benchmarks.serve.routes import EMBED

from benchmarks.serve import load

pytestmark = pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="its alarm is Linux's")

VECTORS = np.array([[0.5, -1.5], [0.25, 3.0], [7.0, 1e-3]], np.float32)
TEXTS = ["right", "wrong", "too few", "refused", "broken", "closing"]


class Handler(BaseHTTPRequestHandler):
    """Answers vectors by the text: right or wrong ones, or none."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        texts = json.loads(self.rfile.read(int(self.headers["content-length"])))["inputs"]
        vectors = VECTORS[: len(texts)].tolist()
        if texts[0] == "broken":
            self.close_connection = True
            return
        if texts[0] == "wrong":
            vectors[0][0] += 1e-6
        if texts[0] == "too few":
            vectors.pop()
        body = json.dumps(vectors).encode()
        self.send_response(429 if texts[0] == "refused" else 200)
        self.send_header("Content-Length", str(len(body)))
        if texts[0] == "closing":
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def items(*texts: str, count: int = 2) -> list[Item]:
    return [Item(content=EMBED.request([text] * count), route=EMBED, rows=tuple(range(count))) for text in texts]


def run(port: int, *texts: str, tolerance: float = 0.0, **options: object) -> Seen:
    plan = {"port": port, "connections": 4, "seconds": 0.3, "expected": VECTORS, "tolerance": tolerance, **options}
    return load.run(Plan(items=items(*texts), **plan))


def test_a_closed_loop_compares_every_vector(port: int) -> None:
    seen = run(port, "right", "closing")
    assert set(seen.statuses()) == {"200"}
    assert set(seen.items.tolist()) == {0, 1}
    assert seen.compared.vectors == 2 * len(seen.items) > 0
    assert (seen.compared.wrong, seen.compared.largest_difference) == (0, 0.0)
    assert (seen.done >= seen.sent).all()


def test_a_wrong_vector_is_seen(port: int) -> None:
    seen = run(port, "wrong")
    assert seen.compared.wrong == len(seen.items)
    assert seen.compared.largest_difference == pytest.approx(1e-6, rel=0.1)
    assert seen.compared.first_wrong.startswith("embed, rows (0, 1)")
    assert run(port, "wrong", tolerance=2e-6).compared.wrong == 0
    assert run(port, "too few").compared.wrong > 0


def test_an_open_loop_sends_everything_that_is_due(port: int) -> None:
    moments = arrivals(300, 0.5)
    seen = run(port, "right", "refused", connections=1, arrivals=moments)
    assert len(seen.due) == len(moments)
    order = np.argsort(seen.due)
    assert seen.due[order] - seen.began == pytest.approx(moments)
    assert (seen.lag() >= 0).all()
    assert (seen.waits() >= (seen.done - seen.sent)[seen.status == 200]).all()
    assert seen.statuses() == {"200": (len(moments) + 1) // 2, "429": len(moments) // 2}
    assert set(load.figures(seen)["ms"]) == {"p50", "p99", "p99.9"}


def test_a_request_without_an_answer_is_counted(port: int) -> None:
    moments = arrivals(100, 0.3)
    seen = run(port, "right", "broken", arrivals=moments)
    assert seen.statuses() == {"lost": len(moments) // 2, "200": (len(moments) + 1) // 2}
    assert np.isnan(seen.done).sum() == len(moments) // 2


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(RuntimeError, match=r"the generator failed:(.|\n)*ConnectionRefused"):
        run(1, "right")


def test_a_lone_client(port: int) -> None:
    with Client(port) as client:
        assert len(client.each([EMBED.request(["right"])] * 3)) == 3
        with pytest.raises(RuntimeError, match="a lone request got 429"):
            client.each([EMBED.request(["refused"])])
        with pytest.raises(ConnectionError, match="the server closed the connection"):
            client.ask(EMBED.request(["broken"]))
