"""text-embeddings-inference's routes (its OpenAPI document, version 1.8)."""

from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Annotated, Any, Literal

import msgspec

from ..._version import __version__
from ...batching.forming import in_form
from ...forms import DType
from ...inputs import check_texts
from ...tokenizer import Token
from ..http.accept import preferred
from ..http.arrays import NPY, as_json, as_json_in_pieces, as_npy, cosines, listed
from ..http.messages import JSON, Request, Response
from ..http.problems import Problem
from ..openapi import LIMIT
from ..service import Service
from .checks import Dimensions, Prompt, Texts, checked_form, texts_of
from .route import Route

# Of all texts of a request to /tokenize: each of their tokens takes some sixty bytes of the answer.
MAX_TOKENIZED = 65_536
# So many tokens are written as JSON at once: other threads wait meanwhile.
_PIECE_TOKENS = 2048

# The engine cuts at the end, as the artifact's tokenizer does.
Direction = Literal["right", "Right"]


class EmbedRequest(msgspec.Struct, frozen=True):
    """Texts to encode.

    ``truncate``: cut longer texts, instead of 413; null as the service does. ``normalize``: null for the artifact's own
    vectors, true for unit vectors. ``prompt_name``: which of the artifact's prompts is put before each text; null for
    its default. ``dimensions``: only the first so many numbers of each vector. ``dtype``: the type of the numbers, as
    of `Encoder.encode`; null for float32.
    """

    inputs: Texts
    truncate: bool | None = None
    truncation_direction: Direction = "right"
    normalize: Annotated[bool | None, msgspec.Meta(extra_json_schema={LIMIT: "normalize"})] = None
    prompt_name: Prompt = None
    dimensions: Dimensions | None = None
    dtype: DType | None = None


class Comparison(msgspec.Struct, frozen=True):
    """A sentence, and those to compare with it."""

    source_sentence: str
    sentences: Annotated[list[str], msgspec.Meta(min_length=1, extra_json_schema={LIMIT: "sentences"})]


class ComparisonParameters(msgspec.Struct, frozen=True):
    """As in a request to /embed."""

    truncate: bool | None = None
    truncation_direction: Direction = "right"
    prompt_name: Prompt = None


class SimilarityRequest(msgspec.Struct, frozen=True):
    """Sentences to compare."""

    inputs: Comparison
    parameters: ComparisonParameters | None = None


class TokenizeRequest(msgspec.Struct, frozen=True):
    """Texts to tokenize, of 65,536 characters in all, with their prompts. Nothing is cut."""

    inputs: Texts
    add_special_tokens: bool = True
    prompt_name: Prompt = None


class TokenAnswer(msgspec.Struct, frozen=True):
    """A token; ``start`` and ``stop`` count bytes of the text's UTF-8, its prompt's first.

    They are null for tokens added around it.
    """

    id: int
    text: str
    special: bool
    start: int | None
    stop: int | None


class EmbeddingModel(msgspec.Struct, frozen=True):
    """How vectors are made of the tokens'."""

    pooling: str


class ModelType(msgspec.Struct, frozen=True):
    """What kind of model it is."""

    embedding: EmbeddingModel


class Info(msgspec.Struct, frozen=True, kw_only=True):
    """The model and the service's limits.

    ``identity`` changes when vectors do. ``kernels``: the variant of the engine's own, null where there is none.
    ``prompts``: what is put before texts, by the names that ``prompt_name`` may have. ``entries``: whether there is an
    index; ``keywords``: whether it has one of its words, for the modes "keywords" and "hybrid" of a search.
    """

    model_id: str
    model_sha: str | None
    model_dtype: str
    served_model_name: str
    model_type: ModelType
    max_concurrent_requests: int
    max_input_length: int
    max_batch_tokens: int
    max_batch_requests: int | None = None
    max_client_batch_size: int
    auto_truncate: bool
    tokenization_workers: int = 1
    version: str = __version__
    sha: str | None = None
    docker_label: str | None = None
    identity: str
    dimension: int
    normalized: bool
    device: str
    devices: list[str]
    kernels: str | None
    payload_limit: int
    entries: bool
    keywords: bool
    prompts: dict[str, str]
    default_prompt_name: str | None


async def embed(service: Service, request: Request, body: EmbedRequest) -> Response:
    """Vectors [n, dimensions]; of packed bits, an eighth of that."""
    form = checked_form(service, body.dimensions, body.dtype, normalize=body.normalize)
    encoded = await service.encode(
        request, texts_of(body.inputs), body.truncate, param="inputs", prompt_name=body.prompt_name
    )
    vectors = await in_form(form, encoded.vectors)
    if preferred(request.headers.get(b"accept"), (JSON, NPY)) == NPY:
        return Response(as_npy(vectors), content_type=NPY)
    return Response(await as_json_in_pieces(vectors))


async def similarity(service: Service, request: Request, body: SimilarityRequest) -> Response:
    """The cosine of the source sentence's vector and of each sentence's."""
    parameters = body.parameters or ComparisonParameters()
    texts = [body.inputs.source_sentence, *body.inputs.sentences]
    encoded = await service.encode(
        request, texts, parameters.truncate, param="inputs", prompt_name=parameters.prompt_name
    )
    return Response(as_json(cosines(encoded.vectors[0], encoded.vectors[1:])))


async def tokenize(service: Service, request: Request, body: TokenizeRequest) -> Response:  # noqa: ARG001
    """Each text's tokens: ids, texts and places, in bytes of UTF-8."""
    prompt = service.prompt(body.prompt_name)
    texts = texts_of(body.inputs)
    service.check_count(texts, param="inputs")
    check_texts(texts)
    texts = [prompt + text for text in texts]
    characters = sum(map(len, texts))
    if characters > MAX_TOKENIZED:
        raise Problem(
            413,
            f"inputs has {characters:,} characters; {MAX_TOKENIZED:,} are the most of a request to /tokenize",
            param="inputs",
        )
    return Response(await service.in_background(partial(_tokens_of, service, texts, body.add_special_tokens)))


def _tokens_of(service: Service, texts: list[str], special_tokens: bool) -> bytes:
    return listed([_as_json(service.encoder.tokens_of(text, special_tokens=special_tokens)) for text in texts])


def _as_json(tokens: Iterator[Token]) -> bytes:
    pieces = []
    while piece := [TokenAnswer(*token) for token in islice(tokens, _PIECE_TOKENS)]:
        pieces.append(msgspec.json.encode(piece)[1:-1])
    return listed(pieces)


async def info(service: Service, request: Request, body: None) -> Response:  # noqa: ARG001
    """The model and the service's limits."""
    manifest, options = service.encoder.manifest, service.options
    return Response.json(
        Info(
            model_id=manifest.source.id,
            model_sha=manifest.source.revision,
            model_dtype=manifest.precision,
            served_model_name=service.model_name,
            model_type=ModelType(EmbeddingModel(manifest.pooler)),
            max_concurrent_requests=options.max_concurrent_requests,
            max_input_length=service.encoder.max_tokens,
            max_batch_tokens=service.batching.batch_tokens,
            max_client_batch_size=options.max_client_batch_size,
            auto_truncate=options.auto_truncate,
            identity=manifest.identity,
            dimension=service.encoder.dimension,
            normalized=manifest.normalized,
            device=service.encoder.device,
            devices=list(service.encoder.devices),
            kernels=service.encoder.kernels,
            payload_limit=options.payload_limit,
            entries=service.index is not None,
            keywords=service.index is not None and service.index.about.keywords,
            prompts=dict(service.encoder.prompts.by_name),
            default_prompt_name=service.encoder.prompts.default,
        )
    )


_EMBED: dict[str, Any] = {
    "method": "POST",
    "handler": embed,
    "takes": EmbedRequest,
    "answers": list[list[float]],
    "or_answers": (NPY,),
    "encodes": True,
}
ROUTES = (
    Route(path="/embed", summary="Vectors of texts; as a .npy file for Accept: application/x-npy", **_EMBED),
    # Where huggingface_hub's InferenceClient sends texts to.
    Route(path="/", summary="As /embed", **_EMBED),
    Route(
        method="POST",
        path="/similarity",
        handler=similarity,
        summary="Cosines of a sentence and others",
        takes=SimilarityRequest,
        answers=list[float],
        encodes=True,
    ),
    Route(
        method="POST",
        path="/tokenize",
        handler=tokenize,
        summary="Tokens of texts",
        takes=TokenizeRequest,
        answers=list[list[TokenAnswer]],
    ),
    Route(
        method="GET",
        path="/info",
        handler=info,
        summary="The model, and the limits of this service",
        answers=Info,
    ),
)
