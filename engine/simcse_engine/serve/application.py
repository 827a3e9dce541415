"""The ASGI application: a request → its route → an answer, or the problem that there is."""

import asyncio
import hmac
import os
import re
import uuid
from typing import Any

import msgspec

from ..encoder import Encoder
from ..errors import (
    ClosedError,
    DiskFullError,
    IndexLockedError,
    InputTypeError,
    InputValueError,
    LimitError,
    QueueFullError,
    SimCSEError,
    TruncationError,
)
from ..index import Index
from .http import Disconnected, Receive, Request, Response, Scope, Send
from .options import ServeOptions
from .problems import Problem
from .routes.route import Route
from .routes.table import ROUTES
from .service import Service

# A client is watched for its leaving from so many seconds on: most answers are quicker, and a watch costs a task.
_WATCH_AFTER_S = 0.05
_SOON = {"retry-after": "1"}
# Where msgspec's messages name the member that is wrong.
_MEMBER = re.compile(r" - at `\$\.(\w+)")


def app(
    artifact: str | os.PathLike[str] | Encoder,
    *,
    index: str | os.PathLike[str] | Index | None = None,
    options: ServeOptions | None = None,
) -> "Application":
    """A plain ASGI application that serves an artifact, for uvicorn, Granian or Hypercorn.

    Args:
        artifact: its folder, a hub id, or an open `Encoder`.
        index: the folder of an index that was filled with it, or an open `Index`.
        options: limits and names.

    Raises:
        SimCSEError: as `Encoder` and `Index.open`.
    """
    encoder = artifact if isinstance(artifact, Encoder) else Encoder(artifact)
    opened = index if index is None or isinstance(index, Index) else Index.open(index, artifact=encoder)
    return Application(Service(encoder, opened, options or ServeOptions()))


class Application:
    """Routes requests to a service."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._routes: dict[str, dict[str, Route]] = {}
        self._decoders: dict[Route, msgspec.json.Decoder[Any]] = {}
        for route in ROUTES:
            if route.needs_index and service.index is None:
                continue
            self._routes.setdefault(route.path, {})[route.method] = route
            if route.takes is not None:
                self._decoders[route] = msgspec.json.Decoder(route.takes)
        key = service.options.api_key
        self._authorization = None if key is None else f"Bearer {key}".encode()
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's request, or the server's start and end."""
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            raise ValueError(f"{scope['type']}: this application speaks HTTP alone")

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self.service.state = "starting"
                self._warming = asyncio.ensure_future(self.service.warm_up())
                await send({"type": "lifespan.startup.complete"})
            else:
                self.service.state = "ending"
                await self.service.batching.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, uuid.uuid4().hex)
        route: Route | None = None
        try:
            route = self._route(scope)
            response = await self._answer(route, request)
        except Problem as problem:
            style = "tei" if route is None else route.style
            response = Response(
                problem.body(style),
                problem.status_in(style),
                headers=[(name.encode(), value.encode()) for name, value in problem.headers.items()],
            )
        except Disconnected:
            return
        response.headers.append((b"x-request-id", request.id.encode()))
        await response.send(send)

    def _route(self, scope: Scope) -> Route:
        methods = self._routes.get(scope["path"])
        if methods is None:
            raise Problem(404, f"there is no {scope['path'][:100]} here; /openapi.json lists what is")
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        route = methods.get(method)
        if route is None:
            allowed = ", ".join(methods)
            raise Problem(405, f"{scope['path']} takes {allowed}, not {scope['method']}", headers={"allow": allowed})
        return route

    async def _answer(self, route: Route, request: Request) -> Response:
        if not route.guarded:
            return await route.handler(self.service, request, None)
        if self.service.state == "starting":
            raise Problem(503, "the service is starting; /ready says when it takes requests", headers=_SOON)
        if self._authorization is not None:
            shown = request.headers.get(b"authorization", b"")
            if not hmac.compare_digest(shown, self._authorization):
                raise Problem(
                    401,
                    "the API key is missing or wrong; send Authorization: Bearer KEY",
                    headers={"www-authenticate": "Bearer"},
                )
        if self._under_way >= self.service.options.max_concurrent_requests:
            raise Problem(
                429,
                f"{self._under_way} requests are under way, the limit of this service (--max-concurrent-requests)",
                headers={"retry-after": "1"},
            )
        self._under_way += 1
        try:
            body = await self._body(route, request)
            return await self._watched(route, request, body)
        finally:
            self._under_way -= 1

    async def _body(self, route: Route, request: Request) -> Any:
        options = self.service.options
        content = await request.body(options.payload_limit, options.body_timeout_s)
        decoder = self._decoders.get(route)
        if decoder is None:
            return None
        try:
            return decoder.decode(content)
        except msgspec.ValidationError as error:
            found = _MEMBER.search(str(error))
            raise Problem(
                422,
                f"the body is not what {route.path} takes: {error}",
                param=None if found is None else found[1],
            ) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Problem(400, f"the body is not valid JSON in UTF-8: {error}") from None

    async def _watched(self, route: Route, request: Request, body: Any) -> Response:
        """The handler's answer; the handler is cancelled when the client leaves."""
        work = asyncio.ensure_future(_translating(route.handler(self.service, request, body)))
        try:
            done, _ = await asyncio.wait({work}, timeout=_WATCH_AFTER_S)
            if not done:
                leaving = asyncio.ensure_future(request.disconnected())
                try:
                    await asyncio.wait({work, leaving}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    leaving.cancel()
                if not work.done():
                    raise Disconnected
            return work.result()
        finally:
            work.cancel()


async def _translating(answer: Any) -> Response:
    """The engine's errors as problems."""
    try:
        response: Response = await answer
    except TruncationError as error:
        raise Problem(413, f"{error}, or ask to cut it (truncate, or --auto-truncate)") from error
    except (InputTypeError, InputValueError) as error:
        raise Problem(422, str(error)) from error
    except QueueFullError as error:
        seconds = max(1, round(error.retry_after_s))
        raise Problem(429, str(error), headers={"retry-after": str(seconds)}) from error
    except DiskFullError as error:
        raise Problem(507, str(error)) from error
    except IndexLockedError as error:
        raise Problem(409, str(error)) from error
    except (ClosedError, LimitError) as error:
        raise Problem(503, str(error)) from error
    except SimCSEError as error:
        raise Problem(500, str(error)) from error
    return response
