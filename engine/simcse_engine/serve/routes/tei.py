"""text-embeddings-inference's routes (its OpenAPI document, version 1.8)."""

import msgspec

from ..arrays import NPY, as_json, as_npy
from ..http import Request, Response
from ..service import Service
from .route import Route


class EmbedRequest(msgspec.Struct, frozen=True):
    """Texts to encode."""

    inputs: str | list[str]
    truncate: bool | None = None
    normalize: bool | None = None
    prompt_name: str | None = None


async def embed(service: Service, request: Request, body: EmbedRequest) -> Response:
    """Vectors [n, dimension]."""
    texts = [body.inputs] if isinstance(body.inputs, str) else body.inputs
    encoded = await service.encode(request, texts, body.truncate, param="inputs")
    if request.headers.get(b"accept") == NPY.encode():
        return Response(as_npy(encoded.vectors), content_type=NPY)
    return Response(as_json(encoded.vectors))


ROUTES = (
    Route(
        method="POST",
        path="/embed",
        handler=embed,
        summary="Vectors of texts",
        takes=EmbedRequest,
        answers=list[list[float]],
        problems=(413, 422, 429),
    ),
)
