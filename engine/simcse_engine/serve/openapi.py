"""The OpenAPI document (3.1): every route, what it takes, what it answers, and its problems."""

from collections.abc import Mapping, Sequence
from inspect import cleandoc
from typing import TYPE_CHECKING, Any

import msgspec

from .._version import __version__
from .http.messages import JSON
from .service import Service

if TYPE_CHECKING:
    from .routes.route import Route

# In a schema, what this says is filled in with the service's limits; see `_limits`.
LIMIT = "x-limit"

_SCHEMAS = "#/components/schemas/"
_DESCRIPTION = """Sentences → vectors. A text's vector depends on nothing else: not on the texts beside it, nor on who
else asks at the moment. Members that are not listed are ignored."""

_PROBLEM = {
    "title": "Problem",
    "type": "object",
    "properties": {"error": {"type": "string"}, "error_type": {"type": "string"}},
    "required": ["error", "error_type"],
}
_OPENAI_PROBLEM = {
    "title": "OpenAIProblem",
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
            "required": ["message", "type", "param", "code"],
        }
    },
    "required": ["error"],
}

_STATUSES = {
    400: "The body is not JSON in UTF-8",
    401: "The API key is missing or wrong",
    403: "The service only reads its index",
    404: "There is no such thing",
    408: "The body did not arrive in time",
    409: "Another process writes the index",
    413: "The body, or a text, is longer than the limit that the message names",
    415: "A page of another site sent no application/json",
    422: "The body has a wrong type or value, or too many items",
    429: "Too much is waiting already",
    500: "An unexpected error; the log has more, by the request's id",
    503: "The service is starting or ending, or has reached a limit of the system",
    507: "The disk is full",
}
_WITH_RETRY_AFTER = (429, 503)
# What can go wrong once texts were encoded.
_AFTER_ENCODING = (409, 422, 500, 503, 507)

_HEADERS = {
    "x-request-id": ("The request's id: the client's, or a new one", "string"),
    "retry-after": ("Seconds after which to try again", "integer"),
    "x-total-time": ("Milliseconds in the service", "number"),
    "x-queue-time": ("Milliseconds until the texts were taken up", "number"),
    "x-tokenization-time": ("Milliseconds of tokenization", "number"),
    "x-inference-time": ("Milliseconds of the model", "number"),
    "x-search-time": ("Milliseconds of the search", "number"),
    "x-compute-tokens": ("Tokens of the texts, special tokens included", "integer"),
    "x-compute-characters": ("Characters of the texts", "integer"),
    "x-truncated": ("How many of the texts were cut", "integer"),
}
_OF_TEXTS = tuple(
    f"x-{name}"
    for name in (
        *("total-time", "queue-time", "tokenization-time", "inference-time"),
        *("compute-tokens", "compute-characters", "truncated"),
    )
)


def document(service: Service, routes: Sequence["Route"]) -> bytes:
    """The document of a service's routes, with its limits."""
    types = [kind for route in routes for kind in (route.takes, route.answers) if not _is_media_type(kind)]
    schemas, components = msgspec.json.schema_components(types, ref_template=_SCHEMAS + "{name}")
    for component in components.values():
        # From docstrings to Markdown.
        component["description"] = cleandoc(component["description"]).replace("``", "`")
    schema_of = dict(zip(map(id, types), schemas, strict=True))
    key = service.options.api_key is not None
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        operation = _operation(route, schema_of, with_key=key and route.guarded)
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    whole = {
        "openapi": "3.1.0",
        "info": {"title": "simcse-engine", "version": __version__, "description": _DESCRIPTION.replace("\n", " ")},
        "paths": paths,
        "components": {
            "schemas": {**components, "Problem": _PROBLEM, "OpenAIProblem": _OPENAI_PROBLEM},
            "headers": {
                name: {"description": description, "schema": {"type": kind}}
                for name, (description, kind) in _HEADERS.items()
            },
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }
    _fill_in(whole, _limits(service))
    return msgspec.json.encode(whole)


def _operation(route: "Route", schema_of: Mapping[int, Any], *, with_key: bool) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.method.lower() + route.path.replace("/", "_"),
        "tags": [_tag(route)],
        "summary": route.summary,
        "description": route.handler.__doc__,
        "responses": {
            "200": _answer(route, schema_of),
            **{str(status): _problem(route, status) for status in _problems(route, with_key=with_key)},
        },
    }
    if "{" in route.path:
        name = route.path[route.path.index("{") + 1 : route.path.index("}")]
        operation["parameters"] = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}}]
    if route.takes is not None:
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": schema_of[id(route.takes)]}}}
    if with_key:
        operation["security"] = [{"key": []}]
    return operation


def _tag(route: "Route") -> str:
    if not route.guarded:
        return "operations"
    return "index" if route.needs_index else {"openai": "OpenAI", "tei": "text-embeddings-inference"}[route.style]


def _answer(route: "Route", schema_of: Mapping[int, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if isinstance(route.answers, str):
        content[route.answers] = {}
    elif route.answers is not None:
        content[JSON] = {"schema": schema_of[id(route.answers)]}
    content |= {media_type: {} for media_type in route.or_answers}
    names = ["x-request-id", *(_OF_TEXTS if route.encodes else ()), *route.headers]
    return {"description": "The answer", "headers": _headers(names), **({"content": content} if content else {})}


def _problems(route: "Route", *, with_key: bool) -> list[int]:
    found = {500, *route.problems}
    if route.guarded:
        found |= {408, 413, 429, 503}
    if with_key:
        found.add(401)
    if route.takes is not None:
        # OpenAI's has 400 for all that is wrong in a body.
        found |= {400, 415} if route.style == "openai" else {400, 415, 422}
    return sorted(found)


def _problem(route: "Route", status: int) -> dict[str, Any]:
    names = [
        "x-request-id",
        *(["retry-after"] if status in _WITH_RETRY_AFTER and route.guarded else []),
        *(_OF_TEXTS if status in _AFTER_ENCODING and route.encodes else []),
    ]
    schema = {"$ref": _SCHEMAS + ("OpenAIProblem" if route.style == "openai" else "Problem")}
    wrong = route.style == "openai" and status == 400
    description = f"{_STATUSES[400]}, or: {_STATUSES[422].lower()}" if wrong else _STATUSES[status]
    return {"description": description, "headers": _headers(names), "content": {JSON: {"schema": schema}}}


def _headers(names: Sequence[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _is_media_type(kind: Any) -> bool:
    return kind is None or isinstance(kind, str)


def _limits(service: Service) -> dict[str, dict[str, Any]]:
    """What schemas say of a member, by the name that `LIMIT` has there."""
    most = service.options.max_client_batch_size
    limits: dict[str, dict[str, Any]] = {
        # All that a list may hold: OpenAI's route reads more, to say what is wrong with it.
        "texts": {"maxItems": most, "items": {"type": "string"}},
        # The source sentence is one too.
        "sentences": {"maxItems": most - 1},
        "dimensions": {"maximum": service.encoder.dimension},
        "prompt_name": {"anyOf": [{"enum": [*service.encoder.prompts.by_name, None]}]},
        "normalize": {},
    }
    if service.index is not None:
        limits["key"] = {"anyOf": [dict(service.index.about.key_kind.schema)]}
    if service.encoder.manifest.normalized:
        limits["normalize"] = {"anyOf": [{"enum": [True, None]}]}
    return limits


def _fill_in(node: Any, limits: Mapping[str, Mapping[str, Any]]) -> None:
    """Replace what `LIMIT` says in a schema, and within, by the limit."""
    if isinstance(node, dict):
        name = node.pop(LIMIT, None)
        if name is not None:
            node.update(limits[name])
        for inner in node.values():
            _fill_in(inner, limits)
    elif isinstance(node, list):
        for inner in node:
            _fill_in(inner, limits)
