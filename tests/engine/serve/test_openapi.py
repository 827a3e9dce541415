"""The OpenAPI document: no loose ends, and this service's limits. `support.asgi` holds answers to it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simcse_engine import Encoder, Index
from simcse_engine.serve import ServeOptions, app
from simcse_engine.serve.openapi import LIMIT
from simcse_engine.serve.routes.table import ROUTES
from support.asgi import Asgi
from support.schemas import problems_of, resolved


@pytest.fixture(scope="module")
def encoder(artifact: Path) -> Iterator[Encoder]:
    with Encoder(artifact) as encoder:
        yield encoder


@pytest.fixture(scope="module")
def document(encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Of a service with an index and a key."""
    options = ServeOptions(max_client_batch_size=6, api_key="secret")
    with (
        Index.create(tmp_path_factory.mktemp("index") / "index", encoder) as index,
        Asgi(app(encoder, index=index, options=options)) as service,
    ):
        return service.document


def nodes(value: Any) -> Iterator[Any]:
    """Every object and list of a document."""
    yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from nodes(inner)


def test_every_route_is_there(document: Any) -> None:
    told = {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}
    assert told == {(route.method, route.path) for route in ROUTES}
    operations = [each for methods in document["paths"].values() for each in methods.values()]
    assert len({each["operationId"] for each in operations}) == len(operations)
    assert all(each["summary"] and each["description"] for each in operations)


def test_references_lead_somewhere(document: Any) -> None:
    references = {node["$ref"] for node in nodes(document) if isinstance(node, dict) and "$ref" in node}
    assert len(references) > 20
    for reference in references:
        assert resolved(reference, document)
    # Nor is there a component that nothing refers to.
    components = document["components"]
    told = {f"#/components/{kind}/{name}" for kind in ("schemas", "headers") for name in components[kind]}
    assert told == references


def test_limits_are_filled_in(document: Any, encoder: Encoder) -> None:
    assert LIMIT not in json.dumps(document)
    schemas = document["components"]["schemas"]

    def takes(name: str, body: Any) -> bool:
        return not problems_of(body, schemas[name], document)

    for name, member in (("EmbedRequest", "inputs"), ("EmbeddingsRequest", "input"), ("SearchRequest", "queries")):
        assert takes(name, {member: ["a"] * 6})
        assert takes(name, {member: "a"})
        assert not takes(name, {member: ["a"] * 7})
        assert not takes(name, {member: []})
        assert not takes(name, {member: [1]})
    compared = {"source_sentence": "a", "sentences": ["b"] * 5}
    assert takes("SimilarityRequest", {"inputs": compared})
    assert not takes("SimilarityRequest", {"inputs": {**compared, "sentences": ["b"] * 6}})
    assert takes("EmbedRequest", {"inputs": "a", "dimensions": encoder.dimension, "normalize": True})
    assert not takes("EmbedRequest", {"inputs": "a", "dimensions": encoder.dimension + 1})
    assert not takes("EmbedRequest", {"inputs": "a", "normalize": False})
    for name, member in (("EmbedRequest", "inputs"), ("EmbeddingsRequest", "input"), ("TokenizeRequest", "inputs")):
        assert takes(name, {member: "a", "prompt_name": "query"})
        assert takes(name, {member: "a", "prompt_name": None})
        assert not takes(name, {member: "a", "prompt_name": "queries"})
    assert takes("EmbedRequest", {"inputs": "a", "dtype": "int8"})
    assert not takes("EmbedRequest", {"inputs": "a", "dtype": "int4"})
    assert takes("AddRequest", {"texts": "a", "keys": [2**64 - 2]})
    assert not takes("AddRequest", {"texts": "a", "keys": [2**64 - 1]})


def test_the_key_is_for_what_needs_it(document: Any, encoder: Encoder) -> None:
    for route in ROUTES:
        operation = document["paths"][route.path][route.method.lower()]
        assert operation.get("security", []) == ([{"key": []}] if route.guarded else [])
        assert ("401" in operation["responses"]) == route.guarded
    assert document["components"]["securitySchemes"]["key"] == {"type": "http", "scheme": "bearer"}
    with Asgi(app(encoder)) as service:
        assert "401" not in service.document["paths"]["/embed"]["post"]["responses"]


def test_a_service_without_an_index_says_nothing_of_one(encoder: Encoder) -> None:
    with Asgi(app(encoder)) as service:
        assert set(service.document["paths"]) == {route.path for route in ROUTES if not route.needs_index}
        assert "AddRequest" not in service.document["components"]["schemas"]


def test_other_media_types_and_headers_are_told(document: Any) -> None:
    answer = document["paths"]["/embed"]["post"]["responses"]["200"]
    assert set(answer["content"]) == {"application/json", "application/x-npy"}
    assert {"x-queue-time", "x-request-id", "x-truncated"} <= set(answer["headers"])
    assert "retry-after" in document["paths"]["/embed"]["post"]["responses"]["429"]["headers"]
    assert "x-search-time" in document["paths"]["/search"]["post"]["responses"]["200"]["headers"]


def test_problems_have_the_shape_of_their_routes(document: Any) -> None:
    def shape(path: str, status: str) -> Any:
        (content,) = document["paths"][path]["post"]["responses"][status]["content"].values()
        return content["schema"]["$ref"].rsplit("/", 1)[1]

    assert (shape("/v1/embeddings", "400"), shape("/embed", "422")) == ("OpenAIProblem", "Problem")
    assert "422" not in document["paths"]["/v1/embeddings"]["post"]["responses"]
