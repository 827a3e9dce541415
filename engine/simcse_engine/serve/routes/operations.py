"""What operators and orchestrators ask."""

import asyncio

from ..http.messages import Request, Response
from ..http.problems import Problem, failed
from ..metrics import CONTENT_TYPE
from ..service import Service
from .route import Route


async def health(service: Service, request: Request, body: None) -> Response:  # noqa: ARG001
    """Alive: it answers under any load."""
    return Response(b"", content_type="text/plain")


async def ready(service: Service, request: Request, body: None) -> Response:  # noqa: ARG001
    """Whether it is warm and takes requests."""
    if service.state == "failed":
        raise failed()
    if not service.ready:
        raise Problem(503, "the service is not ready: it is starting, or ending")
    return Response(b"", content_type="text/plain")


async def metrics(service: Service, request: Request, body: None) -> Response:  # noqa: ARG001
    """What Prometheus reads."""
    text = await asyncio.get_running_loop().run_in_executor(None, service.metrics.text)
    return Response(text, content_type=CONTENT_TYPE)


async def openapi(service: Service, request: Request, body: None) -> Response:  # noqa: ARG001
    """This document."""
    return Response(service.document)


ROUTES = (
    Route(
        method="GET",
        path="/health",
        handler=health,
        summary="Whether the process is alive",
        answers="text/plain",
        guarded=False,
    ),
    Route(
        method="GET",
        path="/ping",
        handler=health,
        summary="As /health",
        answers="text/plain",
        guarded=False,
    ),
    Route(
        method="GET",
        path="/ready",
        handler=ready,
        summary="Whether it takes requests",
        answers="text/plain",
        problems=(503,),
        guarded=False,
    ),
    Route(
        method="GET",
        path="/metrics",
        handler=metrics,
        summary="Counts and times, as Prometheus reads them",
        answers=CONTENT_TYPE,
        guarded=False,
    ),
    Route(
        method="GET",
        path="/openapi.json",
        handler=openapi,
        summary="This document",
        answers="application/json",
        guarded=False,
    ),
)
