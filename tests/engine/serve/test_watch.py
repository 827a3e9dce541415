"""Clients that leave while they wait: their texts do not run."""

from typing import Any

from support.sockets import request


def test_the_texts_of_who_has_left_do_not_run(start: Any) -> None:
    service = start()
    service.hold.set()
    with service.connect() as first, service.connect() as second:
        first.send(request("POST", "/embed", {"inputs": "first"}))
        assert service.began.wait(60)
        with service.connect() as leaving:
            leaving.send(request("POST", "/embed", {"inputs": ["some", "three", "texts"]}))
            service.until(lambda: service.metric("simcse_requests_under_way") == 2)
        service.until(lambda: service.metric('simcse_requests_total{route="/embed",status="499"}') == 1)
        second.send(request("POST", "/embed", {"inputs": ["the", "second"]}))
        service.until(lambda: service.metric("simcse_requests_under_way") == 2)
        service.hold.clear()
        assert len(first.reply().document) == 1
        assert len(second.reply().document) == 2
    assert service.ran == [1, 2]
    assert service.metric("simcse_queue_tokens") == 0


def test_who_waits_long_gets_the_answer(start: Any) -> None:
    service = start()
    service.hold.set()
    with service.connect() as client:
        client.send(request("POST", "/embed", {"inputs": "first"}))
        assert service.began.wait(60)
        # Until the watch has looked at it twice.
        service.began.clear()
        assert not service.began.wait(0.2)
        service.hold.clear()
        assert client.reply().status == 200
        assert client.post("/embed", {"inputs": "second"}).status == 200
