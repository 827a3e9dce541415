"""OpenAI's routes (its API reference, "Embeddings" and "Models")."""

import time
from itertools import chain
from typing import Annotated, Literal

import msgspec

from ...batching.forming import in_form
from ...errors import TruncationError
from ...forms import DType
from ..http.arrays import in_pieces, listed, rows_as_base64, rows_as_json
from ..http.messages import Request, Response
from ..http.problems import Problem, message_of
from ..openapi import LIMIT
from ..service import Service
from .checks import Dimensions, Prompt, checked_form
from .route import Route

OWNER = "simcse-engine"
_STARTED = int(time.time())


# Token ids are read, so that their refusal can say more than that they are none of the document's strings.
Input = (
    str
    | Annotated[
        list[str | int | list[int]],
        msgspec.Meta(min_length=1, extra_json_schema={LIMIT: "texts"}),
    ]
)


class EmbeddingsRequest(msgspec.Struct, frozen=True):
    """Texts to encode. Members that are not listed are ignored.

    OpenAI's API has neither ``prompt_name`` (which of the artifact's prompts is put before each text; null for its
    default) nor ``dtype`` (the type of the numbers, as of `Encoder.encode`; null for float32, which OpenAI's clients
    take base64 for).
    """

    input: Input
    model: str | None = None
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Dimensions | None = None
    user: str | None = None
    prompt_name: Prompt = None
    dtype: DType | None = None


class Embedding(msgspec.Struct, frozen=True):
    """The vector of the text at ``index``: numbers, or the base64 of them, float32 or ``dtype``, little-endian."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class Usage(msgspec.Struct, frozen=True):
    """Tokens of the request's texts, their prompts' and special ones included."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsAnswer(msgspec.Struct, frozen=True):
    """Vectors in the order of the texts."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: Usage


class Model(msgspec.Struct, frozen=True):
    """A model that is served."""

    id: str
    object: Literal["model"] = "model"
    created: int = _STARTED
    owned_by: str = OWNER


class Models(msgspec.Struct, frozen=True):
    """The one model that is served."""

    data: list[Model]
    object: Literal["list"] = "list"


async def embeddings(service: Service, request: Request, body: EmbeddingsRequest) -> Response:
    """Vectors of one or more texts."""
    form = checked_form(service, body.dimensions, body.dtype)
    try:
        encoded = await service.encode(request, _texts(body), None, param="input", prompt_name=body.prompt_name)
    except TruncationError as error:
        raise Problem(400, message_of(error, "input"), param="input", code="context_length_exceeded") from error
    vectors = await in_form(form, encoded.vectors)
    rows = rows_as_base64 if body.encoding_format == "base64" else rows_as_json
    data = [
        b'{"object":"embedding","index":%d,"embedding":%b}' % item
        for item in enumerate(chain.from_iterable(await in_pieces(vectors, rows)))
    ]
    tokens = sum(encoded.tokens)
    after = b',"model":%b,"usage":{"prompt_tokens":%d,"total_tokens":%d}}'
    name = msgspec.json.encode(service.model_name)
    return Response(listed(data, b'{"object":"list","data":', after % (name, tokens, tokens)))


def _texts(body: EmbeddingsRequest) -> list[str]:
    texts = [body.input] if isinstance(body.input, str) else body.input
    for text in texts:
        if not isinstance(text, str):
            raise Problem(
                400,
                "input holds token ids, which are of another model's vocabulary; send texts (in LangChain: "
                "OpenAIEmbeddings(check_embedding_ctx_length=False))",
                param="input",
            )
    return texts  # type: ignore[return-value]


async def models(service: Service, request: Request, body: None) -> Response:  # noqa: ARG001
    """The one model."""
    return Response.json(Models([Model(service.model_name)]))


async def model(service: Service, request: Request, body: None) -> Response:  # noqa: ARG001
    """The model of this name; names may hold slashes."""
    asked = request.path.removeprefix("/v1/models/")
    if asked != service.model_name:
        message = f"there is no model {asked:.100}; this service has {service.model_name}"
        raise Problem(404, message, param="model", code="model_not_found")
    return Response.json(Model(service.model_name))


ROUTES = (
    Route(
        method="POST",
        path="/v1/embeddings",
        handler=embeddings,
        summary="Vectors of texts, as OpenAI's API gives them",
        takes=EmbeddingsRequest,
        answers=EmbeddingsAnswer,
        encodes=True,
        style="openai",
    ),
    Route(
        method="GET",
        path="/v1/models",
        handler=models,
        summary="The model that is served",
        answers=Models,
        style="openai",
    ),
    Route(
        method="GET",
        path="/v1/models/{model}",
        handler=model,
        summary="The model that is served, by its name",
        answers=Model,
        problems=(404,),
        style="openai",
    ),
)
