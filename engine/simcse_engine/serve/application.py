"""The ASGI application: a request → its route → an answer, or the problem that there is."""

import asyncio
import hmac
import os
import re
import time
from typing import Any

import msgspec

from ..encoder import Encoder
from ..errors import ClosedError, QueueFullError, SimCSEError
from ..index import Index
from .account import Account
from .http.messages import PIECE_BYTES, Disconnected, Receive, Request, Response, Scope, Send
from .http.problems import SOON, Problem, Style, ending, failed, late, problem_of, starting
from .http.watch import Watch
from .openapi import document
from .options import ServeOptions
from .routes.route import Route
from .routes.table import ROUTES
from .service import Service

# The requests under way hold as much as so many of the largest.
_HELD_PAYLOADS = 32
# Where msgspec's messages name the member that is wrong.
_MEMBER = re.compile(r" - at `\$\.(\w+)")


def app(
    artifact: str | os.PathLike[str] | Encoder,
    *,
    index: str | os.PathLike[str] | Index | None = None,
    options: ServeOptions | None = None,
) -> "Application":
    """A plain ASGI application that serves an artifact, for uvicorn, Granian or Hypercorn.

    It may be mounted in another application, below any path. Nobody tells it of the start then: it is ready at once,
    its first requests warm it up, and where `ServeOptions` has no ``max_queued_tokens``, its queue has no limit.

    Args:
        artifact: its folder, a hub id, or an open `Encoder`.
        index: the folder of an index that was filled with it, or an open `Index`.
        options: limits and names.

    Raises:
        SimCSEError: as `Encoder` and `Index.open`; IndexMismatchError for an open index of another artifact.
    """
    encoder = artifact if isinstance(artifact, Encoder) else Encoder(artifact)
    if isinstance(index, Index):
        index.check_encoder(encoder)
    elif index is not None:
        index = Index.open(index, artifact=encoder)
    return Application(Service(encoder, index, options or ServeOptions()))


class Application:
    """Routes requests to a service."""

    def __init__(self, service: Service, names: re.Pattern[bytes] | None = None) -> None:
        """Route to a service, for requests whose ``Host`` is one of ``names``; None for any."""
        self.service = service
        self._names = names
        self._account = Account(service)
        options = service.options
        self._watch = Watch(options.body_timeout_s, _HELD_PAYLOADS * options.payload_limit)
        service.metrics.attach(service, self._watch.__len__)
        self._routes: dict[str, dict[str, Route]] = {}
        # By what stands before a path's parameter, which is the rest of it.
        self._open_ended: dict[str, dict[str, Route]] = {}
        self._decoders: dict[Route, msgspec.json.Decoder[Any]] = {}
        routes = [route for route in ROUTES if service.index is not None or not route.needs_index]
        service.document = document(service, routes)
        for route in routes:
            start, parameter, _ = route.path.partition("{")
            table = self._open_ended if parameter else self._routes
            table.setdefault(start, {})[route.method] = route
            if route.takes is not None:
                self._decoders[route] = msgspec.json.Decoder(route.takes)
        key = service.options.api_key
        self._key = None if key is None else key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's request, or the server's start and end."""
        if scope["type"] == "http":
            request = Request(scope, receive)
            try:
                await self._serve(request, send)
            finally:
                self._watch.end(request)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            raise ValueError(f"{scope['type']}: this application speaks HTTP alone")

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()  # "lifespan.startup"
        self.service.state = "starting"
        warming = asyncio.ensure_future(self.service.warm_up())
        await send({"type": "lifespan.startup.complete"})
        await receive()  # "lifespan.shutdown"
        self.service.end()
        await warming
        await self.service.close()
        await send({"type": "lifespan.shutdown.complete"})

    def refused(self, status: int) -> None:
        """Count a request that its connection refused, since it is no HTTP, or did not come to its end."""
        self.service.metrics.answered("other", status, 0.0)

    async def _serve(self, request: Request, send: Send) -> None:
        route: Route | None = None
        try:
            route = self._route(request)
            if route.guarded:
                response = await self._answer(route, request)
            else:
                response = await route.handler(self.service, request, None)
        except Problem as problem:
            cause = problem.__cause__
            if problem.status >= 500 and cause is not None and not isinstance(cause, ClosedError):
                self._account.failed(route, request, cause)
            response = _response(problem, route, request)
        except Disconnected:
            return self._account.left(route, request)
        except asyncio.CancelledError:
            if request.left:
                return self._account.left(route, request)
            if not request.late and self.service.state != "ending":
                raise
            response = _response(late() if request.late else ending(), route, request)
        except Exception as error:
            self._account.failed(route, request, error)
            message = f"an unexpected error ({type(error).__name__}); the log has more, at request {request.id}"
            response = _response(Problem(500, message), route, request)
        seconds = time.perf_counter() - request.began
        more = [(b"x-request-id", request.raw_id)]
        if request.encoded:
            more += self._account.encoded(request, seconds)
        self._account.answered(route, request, response.status, seconds)
        if len(response.body) > PIECE_BYTES:
            # Its client may be slow: what it waits for counts, and the vectors that it was made of may go.
            self._watch.hold_answer(request, len(response.body))
            request.encoded.clear()
        await response.send(send, more, with_body=request.method != "HEAD")
        return None

    def _route(self, request: Request) -> Route:
        if self._names is not None:
            host = request.headers.get(b"host")
            if host is not None and not self._names.fullmatch(host):
                name = host[:100].decode("latin-1")
                raise Problem(
                    421,
                    f"this service has no key, and answers as localhost alone, not as {name!r}; call it by its "
                    "address, or set a key (--api-key-file)",
                )
        methods = self._routes.get(request.path)
        if methods is None:
            methods = next((found for start, found in self._open_ended.items() if request.path.startswith(start)), None)
        if methods is None:
            raise Problem(404, f"there is no {request.path[:100]!r} here; /openapi.json lists what is")
        route = methods.get("GET" if request.method == "HEAD" else request.method)
        if route is None:
            allowed = ", ".join([*methods, "HEAD"] if "GET" in methods else methods)
            raise Problem(405, f"{request.path} takes {allowed}, not {request.method}", headers={"allow": allowed})
        return route

    async def _answer(self, route: Route, request: Request) -> Response:
        """The answer of a route that needs the key, and counts as a request under way."""
        service = self.service
        if self._key is not None:
            scheme, _, shown = request.headers.get(b"authorization", b"").partition(b" ")
            if not hmac.compare_digest(shown.strip(), self._key) or scheme.lower() != b"bearer":
                raise Problem(
                    401,
                    "the API key is missing or wrong; send Authorization: Bearer KEY",
                    headers={"www-authenticate": "Bearer"},
                )
        if service.state in ("starting", "failed"):
            service.metrics.rejected(service.state)
            raise failed() if service.state == "failed" else starting()
        watch = self._watch
        if len(watch) >= service.options.max_concurrent_requests:
            service.metrics.rejected("concurrency")
            raise Problem(
                429,
                f"{len(watch)} requests are under way, the limit of this service (--max-concurrent-requests)",
                headers=SOON,
            )
        watch.begin(request)
        try:
            content = await request.body(service.options.payload_limit, self._hold)
            decoder = self._decoders.get(route)
            body = None if decoder is None else _decoded(decoder, content, route, request)
            return await route.handler(service, request, body)
        except SimCSEError as error:
            if isinstance(error, QueueFullError):
                service.metrics.rejected("queue")
            elif isinstance(error, ClosedError):
                service.metrics.rejected("ending")
            raise problem_of(error, request.member) from error
        finally:
            request.end_watch()

    def _hold(self, request: Request, size: int) -> None:
        """Count bytes of a body that is read; Problem where too much is under way for memory."""
        if not self._watch.hold(request, size):
            self.service.metrics.rejected("bodies")
            raise Problem(
                429,
                f"the bodies and answers of all requests under way would have more than {self._watch.most_bytes:,} "
                "bytes, the limit of this service",
                headers=SOON,
            )


def _decoded(decoder: "msgspec.json.Decoder[Any]", content: bytes, route: Route, request: Request) -> Any:
    """A body as its route takes it."""
    # A page of another site can send only this, without asking the browser for permission first.
    if b"origin" in request.headers and not request.headers.get(b"content-type", b"").startswith(b"application/json"):
        raise Problem(415, "a page must send its request as application/json")
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


def _response(problem: Problem, route: Route | None, request: Request) -> Response:
    """The answer that says a problem, as the route's clients read it."""
    by_path: Style = "openai" if request.path.startswith("/v1/") else "tei"
    style = by_path if route is None else route.style
    headers = [(name.encode(), value.encode()) for name, value in problem.headers.items()]
    return Response(problem.body(style), problem.status_in(style), headers=headers)
