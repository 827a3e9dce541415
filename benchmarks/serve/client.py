"""A client that sends one request after the other over one connection: what a lone request waits."""

import socket
import time
from collections.abc import Sequence
from typing import Any, Self

_RECEIVED = 1 << 16


class Client:
    """A connection to a server of this machine."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self._socket.close()

    def ask(self, request: bytes) -> tuple[int, bytes]:
        """The status and the body of the answer.

        Raises:
            ConnectionError: the server closed the connection.
        """
        self._socket.sendall(request)
        answer = b""
        while (end := answer.find(b"\r\n\r\n")) < 0:
            answer += self._receive()
        head = answer[:end].lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        parts, missing = [answer[end + 4 :]], length - (len(answer) - end - 4)
        while missing > 0:
            parts.append(self._receive())
            missing -= len(parts[-1])
        return int(head[9:12]), b"".join(parts)

    def each(self, requests: Sequence[bytes]) -> list[float]:
        """Send one after the other; the seconds of each.

        Raises:
            RuntimeError: one was refused.
        """
        waits = []
        for request in requests:
            start = time.perf_counter()
            status, body = self.ask(request)
            waits.append(time.perf_counter() - start)
            if status != 200:
                raise RuntimeError(f"a lone request got {status}: {body[:300]!r}")
        return waits

    def _receive(self) -> bytes:
        data = self._socket.recv(_RECEIVED)
        if not data:
            raise ConnectionError("the server closed the connection")
        return data
