"""How an answer is sent: small ones at once, large ones as the client takes them."""

import asyncio
from typing import Any

import pytest

from simcse_engine.serve.http.messages import PIECE_BYTES, Response


def sent(response: Response, *, with_body: bool = True) -> list[Any]:
    """The messages that it is sent with."""
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    asyncio.run(response.send(send, with_body=with_body))
    return messages


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES, 3 * PIECE_BYTES + 5])
def test_pieces(size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    start, *pieces = sent(Response(body[:size]))
    assert (b"content-length", b"%d" % size) in start["headers"]
    assert b"".join(piece["body"] for piece in pieces) == body[:size]
    assert len(pieces) == max(1, -(-size // PIECE_BYTES))
    assert [piece.get("more_body", False) for piece in pieces] == [True] * (len(pieces) - 1) + [False]
    assert max(len(piece["body"]) for piece in pieces) <= PIECE_BYTES


def test_no_body() -> None:
    start, *pieces = sent(Response(bytes(2 * PIECE_BYTES)), with_body=False)
    assert (b"content-length", b"%d" % (2 * PIECE_BYTES)) in start["headers"]
    assert [piece["body"] for piece in pieces] == [b""]
