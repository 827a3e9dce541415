"""Clients that are slow, endless, deaf or broken: each gets its answer or its end, and the others theirs."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from simcse_engine.serve import protocol, server
from simcse_engine.serve.server.server import loop_factory
from support.sockets import request

ASK = {"inputs": "a man"}


@pytest.fixture(scope="module", params=[loop_factory(), None], ids=["command", "asyncio"])
def service(start: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Whose requests must come within a second or so, in the command's event loop and in Python's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "_TICKS_PER_SWEEP", 1)
        yield start(loop=request.param, body_timeout_s=0.3, payload_limit=200_000)


@pytest.fixture(autouse=True)
def _still_answers(service: Any) -> Any:
    """After each of them, the service is as before."""
    yield
    assert service.post("/embed", ASK).status == 200
    service.until(lambda: service.metric("simcse_requests_under_way") == 0)


def test_headers_that_never_end(service: Any) -> None:
    with service.connect() as client:
        client.send(b"POST /embed HTTP/1.1\r\nHost: he")
        assert client.reply().status == 408
        assert client.ended()


def test_nothing_at_all(service: Any) -> None:
    with service.connect() as client:
        assert client.ended()


def test_a_second_request_that_never_ends(service: Any) -> None:
    with service.connect() as client:
        assert client.get("/health").status == 200
        client.send(b"GET /health HTTP/1.1\r\n")
        assert client.reply().status == 408
        assert client.ended()


def test_a_body_that_never_ends(service: Any) -> None:
    with service.connect() as client:
        client.send(request("POST", "/embed", b'{"inputs"', Content_Length="100"))
        answer = client.reply()
        assert (answer.status, answer.headers["connection"]) == (408, "close")
        assert "--body-timeout" in answer.document["error"]
        assert client.ended()


def test_a_body_that_nobody_reads_and_that_never_ends(service: Any) -> None:
    with service.connect() as client:
        client.send(request("POST", "/none", b"{", Content_Length="100"))
        assert client.reply().status == 404
        client.send(b'"')
        assert client.ended()


def test_headers_without_end(service: Any) -> None:
    with service.connect() as client:
        client.send(b"GET /health HTTP/1.1\r\n" + b"x-more: and more\r\n" * 10_000)
        assert client.reply().status == 431
        assert client.ended()


def test_a_body_over_the_limit_is_not_read(service: Any) -> None:
    with service.connect() as client:
        client.send(request("POST", "/embed", b"", Content_Length="1000000000"))
        assert client.reply().status == 413
        # Whoever goes on sending is not reset before reading that.
        client.send(b"a" * 100_000)
        assert client.ended()


def test_a_body_over_the_limit_is_asked_not_to_come(service: Any) -> None:
    with service.connect() as client:
        client.send(request("POST", "/embed", b"", Content_Length="1000000000", Expect="100-continue"))
        assert client.reply().status == 413


def test_chunks_over_the_limit(service: Any) -> None:
    with service.connect() as client:
        client.send(request("POST", "/embed", Transfer_Encoding="chunked"))
        for _ in range(30):
            client.send(b"2710\r\n" + b"a" * 10_000 + b"\r\n")
        assert client.reply().status == 413


def test_chunks(service: Any) -> None:
    with service.connect() as client:
        client.send(request("POST", "/embed", Transfer_Encoding="chunked"))
        for part in (b'{"inp', b'uts": "a ', b'man"}'):
            client.send(b"%x\r\n%b\r\n" % (len(part), part))
        client.send(b"0\r\n\r\n")
        assert client.reply().content == service.post("/embed", ASK).content


def test_a_body_that_waits_to_be_asked_for(service: Any) -> None:
    with service.connect() as client:
        client.send(request("POST", "/embed", b"", Content_Length="19", Expect="100-continue"))
        assert client.reply().status == 100
        client.send(b'{"inputs": "a man"}')
        assert client.reply().status == 200


def test_requests_in_one_go(service: Any) -> None:
    with service.connect() as client:
        client.send(request("POST", "/embed", ASK) * 3 + request("GET", "/health"))
        contents = [client.reply().content for _ in range(4)]
        assert contents[:3] == [service.post("/embed", ASK).content] * 3
        assert contents[3] == b""


def test_byte_by_byte(service: Any) -> None:
    with service.connect() as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request("POST", "/embed", ASK):
            client.send(bytes([byte]))
        assert client.reply().status == 200


@pytest.mark.parametrize("half", [True, False])
def test_a_client_that_leaves_in_its_body(service: Any, half: bool) -> None:
    with service.connect() as client:
        client.send(request("POST", "/embed", b'{"inputs"', Content_Length="100"))
        if half:
            client.socket.shutdown(socket.SHUT_WR)
            assert client.ended()


@pytest.mark.parametrize(
    "content",
    [
        b"\0\0\0\0",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: here\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /embed HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /embed HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"POST /embed HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}and more",
    ],
)
def test_what_is_no_http(service: Any, content: bytes) -> None:
    with service.connect() as client:
        client.send(content)
        assert 400 <= client.reply().status < 500


def test_an_offer_to_upgrade_is_declined(service: Any) -> None:
    offer = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2_Settings": "AAMAAABkAAQAAP__"}
    with service.connect() as client:
        for _ in range(2):
            assert client.post("/embed", ASK, **offer).status == 200
            assert client.get("/health", **offer).status == 200


def test_a_client_that_reads_nothing(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "_DEAF_S", 0.5)
    service = start(max_queued_tokens=1_000_000)
    texts = [f"text {number}" for number in range(2000)]
    with service.connect() as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(6):
            client.send(request("POST", "/embed", {"inputs": texts}))
        service.until(lambda: not service.server.server_state.connections)


def test_old_clients(service: Any) -> None:
    with service.connect() as client:
        client.send(b"GET /health HTTP/1.0\r\n\r\n")
        assert client.reply("GET").status == 200
        assert client.ended()


def test_a_client_that_leaves_with_more_than_one_request(service: Any, caplog: pytest.LogCaptureFixture) -> None:
    service.began.clear()
    service.hold.set()
    with service.connect() as client:
        client.send(request("POST", "/embed", ASK) * 3)
        assert service.began.wait(60)
    state = service.server.server_state
    service.until(lambda: not state.connections)
    service.hold.clear()
    service.until(lambda: not state.tasks)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
