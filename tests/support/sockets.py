"""A client that writes bytes as it likes, for what no well-behaved one sends."""

import json
import socket
from dataclasses import dataclass
from typing import Any, Self

SECONDS = 60


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]  # by their names in lower case
    content: bytes

    @property
    def document(self) -> Any:
        """Its JSON."""
        assert self.headers["content-type"] == "application/json", self
        return json.loads(self.content)


class Client:
    """A connection over TCP."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        self._file = self.socket.makefile("rb")

    def send(self, content: bytes) -> None:
        """Send bytes."""
        self.socket.sendall(content)

    def reply(self, method: str = "POST") -> Reply:
        """Read a whole answer to a request of some method; others may follow it."""
        status, headers = int(self._file.readline().split()[1]), {}
        while line := self._file.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        size = 0 if method == "HEAD" or status == 100 else int(headers["content-length"])
        return Reply(status, headers, self._file.read(size))

    def ended(self) -> bool:
        """Whether the server says nothing more, and has closed; waits for it."""
        try:
            return self._file.read(1) == b""
        except ConnectionResetError:
            return True

    def post(self, path: str, document: Any, **headers: str) -> Reply:
        """Ask in the usual way; bytes are sent as they are."""
        self.send(request("POST", path, document, **headers))
        return self.reply()

    def get(self, path: str, **headers: str) -> Reply:
        """Ask in the usual way."""
        self.send(request("GET", path, **headers))
        return self.reply("GET")

    def close(self) -> None:
        """Leave."""
        self._file.close()
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def request(method: str, path: str, document: Any = None, **headers: str) -> bytes:
    """A request's bytes; underscores in the names of headers are dashes."""
    body = b"" if document is None else document if isinstance(document, bytes) else json.dumps(document).encode()
    sent = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *sent]
    if document is not None and "content_length" not in {name.lower() for name in headers}:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body
