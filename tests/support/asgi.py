"""An application in this process, asked without a socket; each answer is held against the application's document."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Self
from urllib.parse import unquote

from simcse_engine.serve.application import Application
from support.schemas import problems_of
from support.sockets import Reply

# Answers that no operation of the document can list.
OUTSIDE = (404, 405)


class Asgi:
    """Asks an application, always on the same event loop, and checks each answer."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._runner = asyncio.Runner()
        self.document: dict[str, Any] = json.loads(self._run([("GET", "/openapi.json", None, {})])[0].content)

    def post(self, path: str, body: Any, **headers: str) -> Reply:
        """Send a document, or bytes as they are; underscores in the names of headers are dashes."""
        return self._run([("POST", path, body, headers)])[0]

    def get(self, path: str, **headers: str) -> Reply:
        """Ask for a path."""
        return self._run([("GET", path, None, headers)])[0]

    def together(self, path: str, bodies: Sequence[Any]) -> list[Reply]:
        """Send many documents at once."""
        return self._run([("POST", path, body, {}) for body in bodies])

    def leave(self, path: str, body: Any) -> None:
        """Send a document, and leave before there is an answer."""

        async def left() -> None:
            task = asyncio.ensure_future(self._ask("POST", path, body, {}))
            await asyncio.sleep(0.001)
            task.cancel()
            await asyncio.wait([task])

        self._runner.run(left())

    def close(self) -> None:
        """Close the service and the event loop; the encoder and the index are the caller's."""
        self._runner.run(self._application.service.close())
        self._runner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _run(self, asks: Sequence[tuple[str, str, Any, dict[str, str]]]) -> list[Reply]:
        async def all_of_them() -> list[Reply]:
            return await asyncio.gather(*(self._ask(*each) for each in asks))

        replies = self._runner.run(all_of_them())
        if asks[0][1] != "/openapi.json":
            for (method, path, body, _), reply in zip(asks, replies, strict=True):
                self._check(method, path, body, reply)
        return replies

    async def _ask(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Reply:
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        messages = [{"type": "http.request", "body": content}]
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            if not messages:
                await asyncio.get_running_loop().create_future()  # the client stays
            return messages.pop()

        async def send(message: Any) -> None:
            sent.append(message)

        named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        scope = {"type": "http", "method": method, "path": unquote(path), "headers": named}
        await self._application(scope, receive, send)
        start, *bodies = sent
        return Reply(
            start["status"],
            {name.decode(): value.decode() for name, value in start["headers"]},
            b"".join(each["body"] for each in bodies),
        )

    def _check(self, method: str, path: str, body: Any, reply: Reply) -> None:
        """The document says what came: the status, the headers, the media type, and the JSON's shape."""
        assert reply.headers["content-length"] == str(len(reply.content))
        operation = self._operation(method, path)
        if operation is None:
            assert reply.status in OUTSIDE, reply
            return
        told = operation["responses"].get(str(reply.status))
        assert told is not None, (
            f"{path} answers {reply.status}, of which the document knows nothing: {reply.content!r}"
        )
        ours = {name for name in reply.headers if name.startswith("x-") or name == "retry-after"}
        assert ours <= set(told["headers"]), f"{path}: {reply.headers}"
        kind = reply.headers["content-type"]
        assert kind.split(";")[0] in {each.split(";")[0] for each in told["content"]}, f"{path}: {kind}"
        if kind == "application/json":
            schema = told["content"][kind].get("schema", {})
            assert not (found := problems_of(reply.document, schema, self.document)), found
        if reply.status == 200 and body is not None and not isinstance(body, bytes):
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            assert not (found := problems_of(body, schema, self.document)), f"taken, but not documented: {found}"

    def _operation(self, method: str, path: str) -> Any:
        for pattern, operations in self.document["paths"].items():
            start, parameter, _ = pattern.partition("{")
            if path == pattern or (parameter and path.startswith(start)):
                return operations.get(method.lower())
        return None
