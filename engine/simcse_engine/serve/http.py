"""Requests and responses between ASGI and the routes."""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec

from ..batching import Encoded
from .problems import Problem

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

JSON = "application/json"


class Disconnected(Exception):  # noqa: N818 - nobody's error
    """The client has left."""


@dataclass
class Response:
    """What a route answers."""

    body: bytes
    status: int = 200
    content_type: str = JSON
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)

    @classmethod
    def json(cls, document: object, status: int = 200) -> "Response":
        """A document of what msgspec encodes."""
        return cls(msgspec.json.encode(document), status)

    async def send(self, send: Send) -> None:
        """Send it whole."""
        headers = [(b"content-type", self.content_type.encode()), (b"content-length", b"%d" % len(self.body))]
        await send({"type": "http.response.start", "status": self.status, "headers": headers + self.headers})
        await send({"type": "http.response.body", "body": self.body})


class Request:
    """A request, and what is noted of it for headers, metrics and the log.

    Attributes:
        id: the client's ``X-Request-Id``, or a new one.
        began: when it came, by `time.perf_counter`.
        encoded: what was encoded for it.
    """

    def __init__(self, scope: Scope, receive: Receive, request_id: str) -> None:
        self._scope = scope
        self._receive = receive
        self.id = request_id
        self.began = time.perf_counter()
        self.encoded: list[Encoded] = []

    @cached_property
    def headers(self) -> dict[bytes, bytes]:
        """The last value of each, by its lower-case name."""
        return dict(self._scope["headers"])

    async def body(self, limit: int, timeout_s: float) -> bytes:
        """Read the body; Problem where it is larger or slower, Disconnected where it does not end."""
        stated = self.headers.get(b"content-length", b"0")
        if stated.isdigit() and int(stated) > limit:
            raise _too_large(limit)
        # The usual body has come with the headers: no timer for it.
        message = await self._next(timeout_s)
        body: bytes = message.get("body", b"")
        if message.get("more_body"):
            parts, size = [body], len(body)
            while message.get("more_body"):
                message = await self._next(timeout_s - (time.perf_counter() - self.began))
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > limit:
                    raise _too_large(limit)
            body = b"".join(parts)
        if len(body) > limit:
            raise _too_large(limit)
        return body

    async def _next(self, seconds: float) -> MutableMapping[str, Any]:
        try:
            async with asyncio.timeout(max(0, seconds)):
                message = await self._receive()
        except TimeoutError:
            raise Problem(408, "the request's body did not arrive in time", headers={"connection": "close"}) from None
        if message["type"] == "http.disconnect":
            raise Disconnected
        return message

    async def disconnected(self) -> None:
        """Return when the client has left. Only after the body was read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


def _too_large(limit: int) -> Problem:
    # The rest of the body is not read: the connection cannot be used again.
    return Problem(
        413,
        f"the body has more than {limit:,} bytes, the limit of this service (--payload-limit)",
        headers={"connection": "close"},
    )
