"""Clients that are slow, endless, deaf or broken: each gets its answer or its end, and the others theirs."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from simcse_engine.serve.server import protocol, server
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


@pytest.mark.parametrize("name", ["Upgrade", "upgrade", "UPGRADE"])
@pytest.mark.parametrize("token", ["h2c", "websocket", "a, b"])
def test_an_offer_to_upgrade_is_declined(service: Any, name: str, token: str) -> None:
    offer = {"Connection": "Upgrade, HTTP2-Settings", name: token, "HTTP2_Settings": "AAMAAABkAAQAAP__"}
    with service.connect() as client:
        for _ in range(2):
            assert client.post("/embed", ASK, **offer).status == 200
            assert client.get("/health", **offer).status == 200


def test_a_body_behind_an_offer_to_upgrade_is_no_request(service: Any) -> None:
    """However it comes in pieces."""
    inner = request("GET", "/metrics")
    offer = request("POST", "/embed", inner, Connection="upgrade", Upgrade="any") + request("POST", "/embed", ASK)
    for at in (len(offer), offer.index(b"grade: any"), offer.index(inner), offer.index(inner) + 4):
        with service.connect() as client:
            client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.send(offer[:at])
            before = service.server.server_state.total_requests
            service.get("/health")  # so the first piece has been read
            service.until(lambda before=before: service.server.server_state.total_requests > before)
            client.send(offer[at:])
            assert client.reply().status == 400
            assert client.reply().status == 200


def test_many_offers_in_one_go(service: Any) -> None:
    with service.connect() as client:
        client.send(request("POST", "/embed", ASK, Connection="upgrade", Upgrade="any") * 3 + request("GET", "/health"))
        assert [client.reply().status for _ in range(4)] == [200] * 4


def test_nobody_is_let_through(service: Any) -> None:
    with service.connect() as client:
        client.send(b"CONNECT elsewhere:443 HTTP/1.1\r\nHost: elsewhere\r\n\r\n" + request("GET", "/health"))
        assert client.reply().status == 400
        assert client.ended()


def test_a_body_before_headers_does_not_count_with_them(service: Any) -> None:
    second = request("GET", "/health")
    with service.connect() as client:
        client.send(request("POST", "/embed", json.dumps(ASK).encode() + b" " * 100_000) + second[:20])
        assert client.reply().status == 200
        client.send(second[20:])
        assert client.reply("GET").status == 200


@pytest.mark.parametrize(
    "behind",
    [b"\0\0", b"GET /health HTTP/1.1\r\n", b"GET /health HTTP/1.1\r\n" + b"x-more: and more\r\n" * 10_000],
    ids=["400", "408", "431"],
)
def test_what_is_wrong_behind_a_request_is_not_its_answer(
    service: Any, behind: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    service.began.clear()
    service.hold.set()
    with service.connect() as client:
        client.send(request("POST", "/embed", ASK) + behind)
        assert service.began.wait(60)
        service.until(lambda: any(each._discards for each in list(service.server.server_state.connections)))
        service.hold.clear()
        assert client.reply().content == service.post("/embed", ASK).content
        assert client.ended()
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_too_many_requests_in_one_go(service: Any) -> None:
    """Those that may wait are answered, and the connection ends."""
    with service.connect() as client:
        client.send(request("GET", "/health") * 2000)
        answers = client.socket.makefile("rb").read()
    assert protocol._MOST_WAITING < answers.count(b"HTTP/1.1 ") == answers.count(b"HTTP/1.1 200 ") < 2000


def test_refusals_are_counted(service: Any) -> None:
    count = 'simcse_requests_total{route="other",status="400"}'
    before = service.metric(count)
    with service.connect() as client:
        client.send(b"\0\0")
        assert client.reply().status == 400
    assert service.metric(count) == before + 1


def test_bodies_that_nobody_reads_have_their_time_each(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_TICKS_PER_SWEEP", 1 << 30)  # this sweeps, by a clock of its own
    service = start()
    unread = request("POST", "/none", b"", Content_Length="2")
    with service.connect() as client:
        client.send(unread)
        assert client.reply().status == 404
        (connection,) = service.server.server_state.connections

        def sweep(now: float) -> None:
            done = threading.Event()

            def once_more_has_come() -> None:
                if connection.timeout_keep_alive_task is not None:
                    connection.loop.call_later(0.01, once_more_has_come)
                else:
                    connection.sweep(1e9 + now, 5.0)
                    done.set()

            connection.loop.call_soon_threadsafe(once_more_has_come)
            assert done.wait(60)

        for now in (0, 4, 8, 16):
            client.send(b"{")
            sweep(now)
            client.send(b"}" + unread)
            assert client.reply().status == 404
        client.send(b"{")
        sweep(20)
        sweep(26)
        assert client.ended()


def deaf(service: Any, requests: int) -> Any:
    """A client with answers of 0.7 MB, more than sockets hold, of which it reads nothing by itself."""
    client = service.connect()
    client.send(request("POST", "/embed", {"inputs": ["a"] * 2000}) * requests)
    return client


def test_a_client_that_reads_too_slowly(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "_DEAF_S", 0.5)
    monkeypatch.setattr(protocol, "_LEAST_TAKEN", 1 << 30)
    monkeypatch.setattr(server, "_TICKS_PER_SWEEP", 1)
    service = start(max_queued_tokens=1_000_000, cache_bytes=1_000_000)
    size, taken = len(service.post("/embed", {"inputs": ["a"] * 2000}).content), 0
    with deaf(service, 40) as client, contextlib.suppress(ConnectionResetError):
        while part := client.socket.recv(1 << 16):
            taken += len(part)
            threading.Event().wait(0.01)
    assert 0 < taken < 40 * size


def test_answers_that_nobody_takes_count(start: Any) -> None:
    """As requests under way, and with their bytes: their memory has the limit of bodies."""
    service = start(max_queued_tokens=1_000_000, cache_bytes=1_000_000, payload_limit=12_000)
    with deaf(service, 12) as client:
        service.until(lambda: service.post("/embed", ASK).status == 429)
        assert service.metric("simcse_requests_under_way") == 1
        for _ in range(12):
            assert len(client.reply().document) == 2000
    service.until(lambda: service.metric("simcse_requests_under_way") == 0)
    assert service.post("/embed", ASK).status == 200


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
