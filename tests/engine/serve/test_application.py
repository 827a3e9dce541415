"""What the application answers: vectors, and problems that name what is wrong."""

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simcse_engine import Encoder
from simcse_engine.errors import LimitError
from simcse_engine.serve import ServeOptions, app
from simcse_engine.serve.application import Application
from support.commands import TEXTS
from support.sockets import request

KEY = "s3cret"


@pytest.fixture(scope="module")
def service(start: Any) -> Any:
    """With limits that are easily reached."""
    return start(max_client_batch_size=4, payload_limit=1000)


@pytest.fixture(scope="module")
def guarded(start: Any) -> Any:
    """With a key."""
    return start(api_key=KEY)


def test_vectors_are_those_of_the_encoder(service: Any, artifact: Path) -> None:
    answer = service.post("/embed", {"inputs": TEXTS})
    with Encoder(artifact) as encoder:
        assert answer.status == 200
        assert np.array_equal(np.array(answer.document, np.float32), encoder.encode(TEXTS))


def test_headers_say_what_it_took(service: Any) -> None:
    headers = service.post("/embed", {"inputs": ["a man", "some one is walking"]}).headers
    assert headers["x-compute-characters"] == "24"
    assert headers["x-truncated"] == "0"
    assert int(headers["x-compute-tokens"]) > 4
    times = [float(headers[f"x-{name}-time"]) for name in ("queue", "tokenization", "inference")]
    assert all(time >= 0 for time in times)
    assert float(headers["x-total-time"]) > 0


def test_a_request_keeps_its_id_or_gets_one(service: Any) -> None:
    assert service.get("/health", X_Request_Id="mine-1").headers["x-request-id"] == "mine-1"
    made = {service.get("/health").headers["x-request-id"] for _ in range(3)}
    assert len(made) == 3
    for bad in ("", "x" * 129, "two words", "bell\x07"):
        answer = service.get("/health", X_Request_Id=bad)
        assert answer.status == 400 or len(answer.headers["x-request-id"]) == 32


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{", 400, "not valid JSON"),
        (b"", 400, "not valid JSON"),
        (b'{"inputs": "\xff"}', 400, "UTF-8"),
        (b'{"inputs": "\\ud800"}', 400, "not valid JSON"),
        (b"[" * 900, 422, "/embed"),
        (b'{"inputs": 3}', 422, "inputs"),
        (b'{"inputs": ["a", null]}', 422, "inputs"),
        (b'{"input": "a"}', 422, "inputs"),
        (b"[]", 422, "/embed"),
        (b'{"inputs": ["a", "b", "c", "d", "e"]}', 422, "--max-client-batch-size"),
        (b'{"inputs": "' + b"a b " * 200 + b'"}', 413, "max_tokens=32"),
        (b'{"inputs": "' + b"a" * 2000 + b'"}', 413, "--payload-limit"),
    ],
)
def test_a_wrong_body_is_named(service: Any, body: bytes, status: int, words: str) -> None:
    answer = service.post("/embed", body)
    assert answer.status == status
    assert words in answer.document["error"]


def test_nul_is_a_character(service: Any) -> None:
    answer = service.post("/embed", {"inputs": "a\0b"})
    assert answer.status == 200


def test_paths_and_methods(service: Any) -> None:
    assert service.get("/none").status == 404
    assert service.get("/health?x=1").status == 200
    assert service.get("/he%61lth").status == 200
    assert service.get("/health/").status == 404
    wrong = service.get("/embed")
    assert (wrong.status, wrong.headers["allow"]) == (405, "POST")
    assert service.post("/health", {}).headers["allow"] == "GET, HEAD"
    with service.connect() as client:
        client.send(request("HEAD", "/health"))
        assert client.reply("HEAD").status == 200
        client.send(request("OPTIONS", "/embed"))
        assert client.reply("OPTIONS").status == 405
        assert client.get("/health").status == 200


def test_what_is_not_there_is_said_in_the_shape_of_its_neighbours(service: Any) -> None:
    missing, wrong = service.get("/v1/none"), service.get("/v1/embeddings")
    assert (missing.status, missing.document["error"]["code"]) == (404, "unknown_url")
    assert (wrong.status, wrong.document["error"]["type"]) == (405, "invalid_request_error")
    assert service.get("/none").document["error_type"] == "not_found"


def test_the_key_is_wanted(guarded: Any) -> None:
    ask = {"inputs": "a man"}
    assert guarded.post("/embed", ask, Authorization=f"Bearer {KEY}").status == 200
    assert guarded.post("/embed", ask, Authorization=f"bearer {KEY}").status == 200
    for shown in ("Bearer", "Bearer wrong", f"Basic {KEY}", KEY, f"Bearer {KEY}x", "Bearer ", "Bearer é"):
        answer = guarded.post("/embed", ask, Authorization=shown)
        assert answer.status == 401, shown
        assert answer.headers["www-authenticate"] == "Bearer"
    assert guarded.post("/embed", ask).status == 401


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics"])
def test_operators_need_no_key(guarded: Any, path: str) -> None:
    assert guarded.get(path).status == 200


def test_another_sites_page_cannot_ask_unnoticed(service: Any) -> None:
    content = json.dumps({"inputs": "a man"}).encode()
    foreign = {"Origin": "http://elsewhere", "Content_Length": str(len(content))}
    assert service.post("/embed", content, Content_Type="text/plain", **foreign).status == 415
    assert service.post("/embed", content, Content_Type="application/json", **foreign).status == 200


def test_one_request_too_many(start: Any) -> None:
    service = start(max_concurrent_requests=1)
    service.hold.set()
    with service.connect() as first:
        first.send(request("POST", "/embed", {"inputs": "first"}))
        assert service.began.wait(60)
        second = service.post("/embed", {"inputs": "second"})
        assert (second.status, second.headers["retry-after"]) == (429, "1")
        assert "--max-concurrent-requests" in second.document["error"]
        assert service.get("/health").status == 200
        service.hold.clear()
        assert first.reply().status == 200
    assert service.metric('simcse_rejected_requests_total{reason="concurrency"}') == 1


@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_under_way_have_a_limit_together(start: Any, chunked: bool) -> None:
    """Of 32 payloads: each of these clients has sent half of one, and says or shows no more than that."""
    service = start(payload_limit=1000)
    part = b" " * 500
    head = {"Transfer_Encoding": "chunked"} if chunked else {"Content_Length": "1000"}
    begun = request("POST", "/embed", **head) + (b"1f4\r\n" + part + b"\r\n" if chunked else part)
    count = 63 if chunked else 32
    with contextlib.ExitStack() as clients:
        for _ in range(count):
            clients.enter_context(service.connect()).send(begun)
        service.until(lambda: service.metric("simcse_requests_under_way") == count)
        answer = service.post("/embed", {"inputs": "x" * 900})
        assert (answer.status, answer.headers["retry-after"]) == (429, "1")
        assert "32,000 bytes" in answer.document["error"]
        assert service.get("/health").status == 200
    service.until(lambda: service.metric("simcse_requests_under_way") == 0)
    assert service.post("/embed", {"inputs": "one"}).status == 200
    assert service.metric('simcse_rejected_requests_total{reason="bodies"}') == 1


def test_a_full_queue_refuses_one_text_and_many_alike(start: Any) -> None:
    service = start(max_queued_tokens=10)
    service.hold.set()
    with service.connect() as first, service.connect() as second:
        # One that is larger than the limit is not refused forever, and leaves room for another.
        for client in (first, second):
            client.send(request("POST", "/embed", {"inputs": [f"text {i}" for i in range(20)]}))
        service.until(lambda: service.metric("simcse_requests_under_way") == 2)
        assert service.began.wait(60)
        for texts in ("one", ["one", "two"]):
            answer = service.post("/embed", {"inputs": texts})
            assert answer.status == 429
            assert int(answer.headers["retry-after"]) >= 1
        service.hold.clear()
        assert len(first.reply().document) == len(second.reply().document) == 20
    assert service.post("/embed", {"inputs": "one"}).status == 200
    assert service.metric('simcse_rejected_requests_total{reason="queue"}') == 2


def test_health_answers_while_the_engine_does_not(start: Any) -> None:
    service = start()
    service.hold.set()
    with service.connect() as huge, service.connect() as probe:
        huge.send(request("POST", "/embed", {"inputs": [f"text {i}" for i in range(2000)]}))
        assert service.began.wait(60)
        for path in ("/health", "/ready", "/metrics"):
            assert probe.get(path).status == 200
        service.hold.clear()
        assert len(huge.reply().document) == 2000


def test_what_is_unexpected_is_told_without_texts(start: Any, caplog: pytest.LogCaptureFixture) -> None:
    service = start()

    def fail(*_: object, **__: object) -> None:
        raise KeyError("A man plays a guitar.")

    service.service.encoder.run = fail
    answer = service.post("/embed", {"inputs": "A man plays a guitar."}, X_Request_Id="mine")
    assert answer.status == 500
    assert "guitar" not in answer.content.decode()
    assert "mine" in answer.document["error"]
    failure = next(record for record in caplog.records if record.getMessage() == "failure")
    assert failure.fields["error"] == "KeyError"
    assert failure.fields["request_id"] == "mine"
    assert any("fail" in frame for frame in failure.fields["frames"])
    assert "guitar" not in str(failure.fields)


def test_a_cause_on_the_servers_side_is_logged(start: Any, caplog: pytest.LogCaptureFixture) -> None:
    service = start()

    def fail(*_: object, **__: object) -> None:
        raise LimitError("no more threads")

    service.service.encoder.run = fail
    assert service.post("/embed", {"inputs": "a man"}, X_Request_Id="mine").status == 503
    failure = next(record for record in caplog.records if record.getMessage() == "failure")
    assert (failure.fields["error"], failure.fields["message"]) == ("LimitError", "no more threads")
    assert failure.fields["request_id"] == "mine"


async def asked(application: Application, method: str, path: str, root: str = "") -> tuple[int, bytes]:
    """What an application answers without a server: the status and the body."""
    said: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b'{"inputs": "a"}', "more_body": False}

    async def send(message: Any) -> None:
        said.append(message)

    scope = {"type": "http", "method": method, "path": path, "root_path": root, "headers": []}
    await application(scope, receive, send)
    return said[0]["status"], b"".join(message["body"] for message in said[1:])


def test_a_host_without_lifespan_is_served(artifact: Path) -> None:
    with Encoder(artifact) as encoder:
        application = app(encoder, options=ServeOptions())

        async def ask() -> tuple[int, bytes]:
            answer = await asked(application, "POST", "/embed")
            await application.service.close()
            return answer

        status, body = asyncio.run(ask())
        assert status == 200
        assert len(json.loads(body)[0]) == encoder.dimension


def test_below_a_path(artifact: Path) -> None:
    with Encoder(artifact) as encoder:
        application = app(encoder)

        async def statuses() -> list[int]:
            # ASGI's path has the root; some servers leave it out.
            asks = [
                ("/x/health", "/x"),
                ("/health", "/x"),
                ("/xhealth", "/x"),
                ("/x/y/health", "/x"),
                ("/x/health", ""),
            ]
            return [(await asked(application, "GET", path, root))[0] for path, root in asks]

        assert asyncio.run(statuses()) == [200, 200, 404, 404, 404]


def test_a_start_that_fails_is_said(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no such device")

    with Encoder(artifact) as encoder:
        application = app(encoder)
        service = application.service
        monkeypatch.setattr(encoder, "encode", fail)

        async def main() -> None:
            service.state = "starting"
            await service.warm_up()
            assert (await asked(application, "GET", "/health"))[0] == 200
            for method, path in (("GET", "/ready"), ("POST", "/embed")):
                status, body = await asked(application, method, path)
                assert (status, b"could not start" in body) == (503, True)
            service.end()
            assert service.state == "failed"
            await service.close()

        asyncio.run(main())
        assert b'simcse_rejected_requests_total{reason="failed"} 1.0' in service.metrics.text()
