"""What operators and orchestrators ask."""

from ..http import Request, Response
from ..problems import Problem
from ..service import Service
from .route import Route


async def health(service: Service, request: Request, body: None) -> Response:  # noqa: ARG001
    """Alive: it answers under any load."""
    return Response(b"", content_type="text/plain")


async def ready(service: Service, request: Request, body: None) -> Response:  # noqa: ARG001
    """Whether it is warm and takes requests."""
    if not service.ready:
        raise Problem(503, "the service is not ready: it is starting, or ending")
    return Response(b"", content_type="text/plain")


ROUTES = (
    Route(method="GET", path="/health", handler=health, summary="Whether the process is alive", guarded=False),
    Route(
        method="GET",
        path="/ready",
        handler=ready,
        summary="Whether it takes requests",
        problems=(503,),
        guarded=False,
    ),
)
