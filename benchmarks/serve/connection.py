"""A generator's connections."""

import asyncio
import time
from typing import Protocol

from .plan import LOST, UNANSWERED


class Owner(Protocol):
    """Who is told what becomes of a connection and its requests."""

    def opened(self, connection: "Connection") -> None: ...

    def answered(self, connection: "Connection", status: int, body: bytes) -> None: ...

    def failed(self, connection: "Connection", status: int) -> None: ...

    def free(self, connection: "Connection") -> None: ...

    def closed(self, connection: "Connection") -> None: ...


class Connection(asyncio.Protocol):
    """A connection that stays open, with one request at a time.

    Attributes:
        item: what it sent last.
        due: when that should have been sent.
        sent: when it was.
        status: of the last answer.
    """

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._parts: list[bytes] = []
        self._missing = 0  # bytes of the answer; 0 while its head is not there
        self.status = 0
        self._closing = self._busy = False
        self.item, self.due, self.sent = 0, 0.0, 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._owner.opened(self)

    def send(self, item: int, content: bytes, due: float) -> None:
        self.item, self.due, self._busy = item, due, True
        self._transport.write(content)
        self.sent = time.perf_counter()

    def data_received(self, data: bytes) -> None:
        if not self._missing:
            data = b"".join([*self._parts, data])
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._parts = [data]
                return
            self._read_head(data[:end].lower())
            data, self._parts = data[end + 4 :], []
        self._parts.append(data)
        self._missing -= len(data)
        if self._missing <= 0:
            body = b"".join(self._parts)
            self._parts, self._missing, self._busy = [], 0, False
            self._owner.answered(self, self.status, body)
            if self._closing:
                self._transport.close()
            else:
                self._owner.free(self)

    def _read_head(self, head: bytes) -> None:
        self.status = int(head[9:12])
        _, found, rest = head.partition(b"content-length:")
        if not found:
            raise ValueError(f"an answer without a length: {head!r}")
        self._missing = int(rest.split(b"\r\n", 1)[0])
        self._closing = b"connection: close" in head

    def give_up(self) -> None:
        """End it; what it waits for stays unanswered."""
        self._fail(UNANSWERED)
        self._transport.abort()

    def connection_lost(self, _: Exception | None) -> None:
        self._fail(LOST)
        self._owner.closed(self)

    def _fail(self, status: int) -> None:
        if self._busy:
            self._busy = False
            self._owner.failed(self, status)
