"""Requests and responses between ASGI and the routes."""

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ...batching import Encoded
from .problems import Problem

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]

JSON = "application/json"

# Answers that are larger are sent in such pieces, each as soon as the client has taken most of those before.
PIECE_BYTES = 1 << 18

# What a client may call its request: it goes into headers and logs.
_ID = re.compile(rb"[!-~]{1,128}")
_CONTENT_TYPES = {
    name: (b"content-type", name.encode())
    for name in (JSON, "text/plain", "text/html; charset=utf-8", "application/x-npy")
}


class Disconnected(Exception):  # noqa: N818 - nobody's error
    """The client has left."""


@dataclass(slots=True)
class Response:
    """What a route answers."""

    body: bytes
    status: int = 200
    content_type: str = JSON
    headers: list[Header] = field(default_factory=list)

    @classmethod
    def json(cls, document: object, status: int = 200) -> "Response":
        """A document of what msgspec encodes."""
        return cls(msgspec.json.encode(document), status)

    async def send(self, send: Send, more: Iterable[Header] = (), *, with_body: bool = True) -> None:
        """Send it, or, as the answer to HEAD, only its head."""
        kind = _CONTENT_TYPES.get(self.content_type) or (b"content-type", self.content_type.encode())
        headers = [kind, (b"content-length", b"%d" % len(self.body)), *self.headers, *more]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        body, sent = self.body if with_body else b"", 0
        while len(body) - sent > PIECE_BYTES:
            piece = body[sent : sent + PIECE_BYTES]
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            sent += PIECE_BYTES
        await send({"type": "http.response.body", "body": body[sent:]})


class Request:
    """A request, and what is noted of it for headers, metrics and the log.

    Attributes:
        raw_id: the client's ``X-Request-Id``, or a new one.
        method: of HTTP.
        path: below where the application is mounted, decoded, without the query.
        headers: the last value of each, by its lower-case name.
        began: when it came, by `time.perf_counter`.
        encoded: what was encoded for it.
        characters: of the texts that were encoded.
        member: of its body, that holds texts to encode.
        texts: what was encoded for it, where the log may hold texts.
        held: bytes of its body, or of its answer, as they count for all requests' limit.
        has_body: whether its body is there.
        left: whether its client has left.
        late: whether its body did not come in time.
    """

    __slots__ = (
        *("_leaving", "_receive", "_task", "began", "characters", "encoded", "has_body", "headers", "held"),
        *("late", "left", "member", "method", "path", "raw_id", "texts"),
    )

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self._task: asyncio.Task[Any] | None = None
        self._leaving: asyncio.Task[None] | None = None
        self.began = time.perf_counter()
        self.method: str = scope["method"]
        self.path = _path_below(scope["path"], scope.get("root_path", ""))
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        own = self.headers.get(b"x-request-id")
        self.raw_id = own if own is not None and _ID.fullmatch(own) else b"%032x" % random.getrandbits(128)
        self.encoded: list[Encoded] = []
        self.member: str | None = None
        self.texts: list[str] = []
        self.characters = 0
        self.held = 0
        self.has_body = False
        self.left = False
        self.late = False

    @property
    def id(self) -> str:
        """Its id as text."""
        return self.raw_id.decode()

    async def body(self, limit: int, hold: Callable[["Request", int], None]) -> bytes:
        """Read the body, of at most ``limit`` bytes; Disconnected where it does not end.

        ``hold`` is called with bytes before they are there, as far as the client says how many come.
        """
        stated = self.headers.get(b"content-length")
        # Nothing of it is read then: a client that waits for "100 Continue" need not send it.
        if stated is not None and stated.isdigit() and (len(stated) > len(str(limit)) or int(stated) > limit):
            raise _too_large(limit)
        if stated is not None and stated.isdigit():
            hold(self, int(stated))
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        body: bytes = message.get("body", b"")
        if message.get("more_body", False):
            body = await self._rest(body, limit, hold)
        if len(body) > limit:
            raise _too_large(limit)
        self.has_body = True
        return body

    async def _rest(self, first: bytes, limit: int, hold: Callable[["Request", int], None]) -> bytes:
        parts, size, more = [first], len(first), True
        while more and size <= limit:
            if size > self.held:
                hold(self, size - self.held)
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            more = message.get("more_body", False)
        return b"".join(parts)

    def begin_watch(self) -> None:
        """Note the task that works for it, which `look` may cancel."""
        self._task = asyncio.current_task()

    def look(self, now: float, leaving_after_s: float, body_within_s: float) -> None:
        """Cancel the work for it where its body is late, and begin to watch for its client's leaving."""
        if self._task is None:
            return  # the answer is being sent
        if not self.has_body:
            if now - self.began > body_within_s and not self.late:
                self.late = True
                self._task.cancel()
        elif self._leaving is None and now - self.began > leaving_after_s:
            self._leaving = asyncio.ensure_future(self._watch_leaving())

    def end_watch(self) -> None:
        """The work is done."""
        self._task = None
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None

    async def _watch_leaving(self) -> None:
        # After the body, this is all that there is to receive.
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if self._task is not None:
            self.left = True
            self._task.cancel()


def _path_below(path: str, root: str) -> str:
    """A path without the application's root, which ASGI's has, but not every server's."""
    below = path.removeprefix(root)
    return below if below.startswith("/") else path


def _too_large(limit: int) -> Problem:
    # The rest of the body is not read: the connection cannot be used again.
    return Problem(
        413,
        f"the body has more than {limit:,} bytes, the limit of this service (--payload-limit)",
        headers={"connection": "close"},
    )
