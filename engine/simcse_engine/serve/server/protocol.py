"""Protocol: uvicorn's for HTTP/1.1, with limits of its own for clients that are slow, endless or deaf."""

import asyncio
from typing import Any

from ..extra import missing

try:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
except ModuleNotFoundError as error:
    raise missing(error) from error

# Of a request's headers; the parser has no limit.
_MOST_HEADER_BYTES = 65_536
# In which a client must take some of its answer.
_DEAF_S = 30.0
# In which a client may go on sending what nobody reads, so that it gets to read why.
_LINGER_S = 2.0

_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"

# Java's client offers HTTP/2 so, beside its request's body, which the parser would take for HTTP/2 already. Line breaks
# in a JSON string are escaped, so these are headers.
_UPGRADE, _NO_UPGRADE = b"\r\nUpgrade: h2c\r\n", b"\r\nUpgradX: h2c\r\n"


class Protocol(HttpToolsProtocol):
    """A connection. `sweep` ends those whose client is too slow; nothing is timed for a single request."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._wire: _Wire | None = None
        self._header_bytes = 0
        self._phase: object = None
        self._since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        super().connection_made(transport)
        self.transport = self._wire = _Wire(transport, self)  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Parse what came, unless the answer has been that it is not wanted."""
        wire = self._wire
        assert wire is not None
        if wire.lingers:
            return
        if _UPGRADE in data:
            data = data.replace(_UPGRADE, _NO_UPGRADE)
        super().data_received(data)
        if self._in_headers:
            self._header_bytes += len(data)
            if self._header_bytes > _MOST_HEADER_BYTES and not wire.is_closing():
                wire.write(_TOO_LONG)
                wire.close()
        elif self._header_bytes:
            self._header_bytes = 0

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
        """Whether a request has not come to its end."""
        return self.cycle is None or self.cycle.more_body or self._in_headers

    def sweep(self, now: float, request_s: float) -> None:
        """Look how far it has come since the last time; headers must come within ``request_s``."""
        if self._wire is None:
            return
        raw = self._wire.raw
        waiting = raw.get_write_buffer_size()
        phase: object = None
        if self._wire.lingers:
            phase, limit = "lingers", _LINGER_S
        elif waiting:
            phase, limit = waiting, _DEAF_S
        elif self.cycle is None or self._in_headers:
            phase, limit = id(self.scope), request_s
        elif self.cycle.response_complete and self.timeout_keep_alive_task is None:
            phase, limit = "answered", request_s  # but its body still comes
        if phase != self._phase:
            self._phase, self._since = phase, now
        elif phase is not None and now - self._since > limit:
            if self._wire.lingers or waiting:
                raw.abort()
            elif self.scope is None or phase == "answered":
                raw.close()  # it has said nothing, or nothing more can be said
            else:
                self._wire.write(_TOO_SLOW)
                self._wire.close()


class _Wire:
    """A connection's transport, as the protocol uses it.

    An answer's headers wait for its body, so that one packet has both. A connection that is closed while its client
    still sends is half-closed first: a closed one would answer with a reset, over which the client loses the answer.

    Attributes:
        raw: the event loop's transport.
        lingers: whether it is half-closed, and discards what comes.
    """

    __slots__ = ("_held", "_protocol", "lingers", "raw")

    def __init__(self, raw: asyncio.Transport, protocol: Protocol) -> None:
        self.raw = raw
        self.lingers = False
        self._protocol = protocol
        self._held: bytes | None = None

    def write(self, data: bytes) -> None:
        """Send, or hold back the head of an answer. To a client that has just left, send nothing."""
        if self.raw.is_closing():
            return
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

    def pause_reading(self) -> None:
        """Let the client wait."""
        self.raw.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        self.raw.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What the event loop knows of the connection."""
        return self.raw.get_extra_info(name, default)
