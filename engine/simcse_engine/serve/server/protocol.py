"""Protocol: uvicorn's for HTTP/1.1, with limits of its own for clients that are slow, endless or deaf."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from ..extra import missing

try:
    import httptools
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
except ModuleNotFoundError as error:
    raise missing(error) from error

# Of a request's headers; the parser has no limit.
_MOST_HEADER_BYTES = 65_536
# Requests that wait for the answer to an earlier one of their connection.
_MOST_WAITING = 64
# In which a client must take so much of what is sent to it, or all of it.
_DEAF_S = 30.0
_LEAST_TAKEN = 1 << 20
# In which a client may go on sending what nobody reads, so that it gets to read why.
_LINGER_S = 2.0

_REFUSALS = {400: b"Bad Request", 408: b"Request Timeout", 431: b"Request Header Fields Too Large"}


class Protocol(HttpToolsProtocol):
    """A connection. `sweep` ends those whose client is too slow; nothing is timed for a single request.

    ``on_refusal`` is called with the status of each request that is refused here, before it reaches the application.
    """

    def __init__(self, *args: Any, on_refusal: Callable[[int], None], **options: Any) -> None:
        super().__init__(*args, **options)
        self.pipeline = _Pipeline()
        self._on_refusal = on_refusal
        self._wire: _Wire | None = None
        # Whether what comes is of no use any more.
        self._discards = False
        # The request whose headers have not all come, and how many bytes of them have.
        self._head: object = None
        self._head_bytes = 0
        # What it is at, of which request, and since when.
        self._phase: str | int | None = None
        self._of: object = None
        self._since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        super().connection_made(transport)
        self.transport = self._wire = _Wire(transport, self)  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Parse what came, unless the answer has been that it is not wanted."""
        wire = self._wire
        assert wire is not None
        if self._discards or wire.lingers:
            return
        self._unset_keepalive_if_required()
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._refuse(400)
            return
        if self._in_headers:
            if self._head is self.scope:
                self._head_bytes += len(data)
            else:  # before them, the data may have a whole body
                self._head = self.scope
                self._head_bytes = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
            if self._head_bytes > _MOST_HEADER_BYTES:
                self._refuse(431)

    def _feed(self, data: bytes) -> None:
        """Parse; offers of other protocols are declined."""
        rest: bytes | memoryview = data
        while True:
            try:
                self.parser.feed_data(rest)
            except httptools.HttpParserUpgrade as offer:
                # The parser takes what follows the headers for the other protocol, even the request's body, and goes on
                # with a new request: it gets this one again, without the offer. Java's client offers HTTP/2 so.
                if self.scope["method"] == "CONNECT":
                    raise httptools.HttpParserError("no proxy") from None
                self.parser.feed_data(self._head_without_offer())
                rest = memoryview(rest)[offer.args[0] :]
            else:
                return

    def _head_without_offer(self) -> bytes:
        lines = [b"%b %b HTTP/%b" % (self.scope["method"].encode(), self.url, self.scope["http_version"].encode())]
        lines += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def _should_upgrade(self) -> bool:
        """Where the parser sees an offer, uvicorn's part does not begin a request yet."""
        return True

    def _refuse(self, status: int) -> None:
        """Say what is wrong with the request that comes, and close.

        Behind one without its answer, this would be taken for that: then the connection ends after the answer.
        """
        wire, cycle = self._wire, self.cycle
        assert wire is not None
        self._discards = True
        idle = cycle is None or cycle.response_complete
        if not idle and (self.pipeline or not cycle.more_body):
            last = self.pipeline[0][0] if self.pipeline else cycle
            last.keep_alive = False
            return
        if idle or not cycle.response_started:
            head = b"HTTP/1.1 %d %b\r\n" % (status, _REFUSALS[status])
            wire.write(head + b"connection: close\r\ncontent-length: 0\r\n\r\n")
            self._on_refusal(status)
        wire.close()

    def on_response_complete(self) -> None:
        """Send what is still held back, and go on with the next request."""
        if self._wire is not None:
            self._wire.flush()
        super().on_response_complete()

    def shutdown(self) -> None:
        """End at once, or after the answer that is under way."""
        if self._wire is not None and (self.cycle is None or self.cycle.response_complete):
            self._wire.raw.close()
        else:
            super().shutdown()

    @property
    def _in_headers(self) -> bool:
        """Whether a request has begun whose headers have not all come."""
        return self.scope is not None and (self.cycle is None or self.cycle.scope is not self.scope)

    @property
    def expects_more(self) -> bool:
        """Whether a request has not come to its end, as far as that is known."""
        return self._discards or self.cycle is None or self.cycle.more_body or self._in_headers

    def sweep(self, now: float, request_s: float) -> None:
        """Look how far it has come since the last time; headers must come within ``request_s``."""
        wire = self._wire
        if wire is None:
            return
        waiting = wire.raw.get_write_buffer_size()
        phase: str | int | None = None
        of: object = None
        limit = request_s
        if waiting:
            phase, limit = (wire.written - waiting) // _LEAST_TAKEN, _DEAF_S
        elif wire.lingers:
            phase, limit = "lingers", _LINGER_S
        elif self.cycle is None or self._in_headers:
            phase, of = "begins", self.scope
        elif self.cycle.response_complete and self.timeout_keep_alive_task is None:
            phase, of = "answered", self.cycle  # but its body still comes
        if phase != self._phase or of is not self._of:
            self._phase, self._of, self._since = phase, of, now
        elif phase is not None and now - self._since > limit:
            if wire.lingers or waiting:
                wire.raw.abort()
            elif of is None or phase == "answered":
                wire.raw.close()  # it has said nothing, or nothing more can be said
            else:
                self._refuse(408)


class _Pipeline(deque[Any]):
    """Requests that wait for an earlier one's answer: not any number, since one packet can hold thousands."""

    def appendleft(self, request: Any) -> None:
        """Let a request wait; the parser ends with the error."""
        if len(self) >= _MOST_WAITING:
            raise OverflowError
        super().appendleft(request)


class _Wire:
    """A connection's transport, as the protocol uses it.

    An answer's headers wait for its body, so that one packet has both. A connection that is closed while its client
    still sends is half-closed first: a closed one would answer with a reset, over which the client loses the answer.

    Attributes:
        raw: the event loop's transport.
        lingers: whether it is half-closed, and discards what comes.
        written: bytes, with those that have not been sent yet.
    """

    __slots__ = ("_held", "_protocol", "lingers", "raw", "written")

    def __init__(self, raw: asyncio.Transport, protocol: Protocol) -> None:
        self.raw = raw
        self.lingers = False
        self.written = 0
        self._protocol = protocol
        self._held: bytes | None = None

    def write(self, data: bytes) -> None:
        """Send, or hold back the head of an answer. To a client that has just left, send nothing."""
        if self.lingers or self.raw.is_closing():
            return
        self.written += len(data)
        if self._held is not None:
            held, self._held = self._held, None
            self.raw.writelines((held, data))
        elif data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 100"):
            self._held = data
        else:
            self.raw.write(data)

    def flush(self) -> None:
        """Send what is held back."""
        if self._held is not None:
            held, self._held = self._held, None
            if not self.raw.is_closing():
                self.raw.write(held)

    def close(self) -> None:
        """Close, or half-close, once all is sent."""
        self.flush()
        if self.lingers or self.raw.is_closing():
            return
        if self._protocol.expects_more and self.raw.can_write_eof():
            self.lingers = True
            self._protocol.flow.resume_reading()
            self.raw.write_eof()
        else:
            self.raw.close()

    def is_closing(self) -> bool:
        """Whether nothing more will be sent."""
        return self.lingers or self.raw.is_closing()
