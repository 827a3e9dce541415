"""An index that is absent, another's, or not to be written."""

import pytest

from simcse_engine import Encoder, Index
from simcse_engine.errors import IndexMismatchError
from simcse_engine.serve import app
from support.asgi import Asgi

from .conftest import SENTENCES

CHANGES = (
    ("/add", {"texts": ["a"]}),
    ("/update", {"keys": [1], "metadata": [None]}),
    ("/remove", {"keys": [1]}),
    ("/remove", {"where": {}}),
)


def test_an_index_that_another_writes(encoder: Encoder, index: Index) -> None:
    with Asgi(app(encoder, index=index.folder)) as service:
        for path, body in CHANGES:
            answer = service.post(path, body)
            assert (answer.status, answer.document["error_type"]) == (409, "conflict")
        assert service.get("/count").document == {"count": len(SENTENCES)}


def test_an_index_that_is_only_read(encoder: Encoder, index: Index) -> None:
    with (
        Index.open(index.folder, artifact=encoder, read_only=True) as reader,
        Asgi(app(encoder, index=reader)) as service,
    ):
        for path, body in CHANGES:
            answer = service.post(path, body)
            assert (answer.status, answer.document["error_type"]) == (403, "forbidden")
            assert "--read-only" in answer.document["error"]
        for path, body in (("/search", {"queries": "a"}), ("/get", {"keys": [1]}), ("/list", {}), ("/count", {})):
            assert service.post(path, body).status == 200


def test_an_open_index_of_another_artifact(unnormalized: Encoder, index: Index) -> None:
    with pytest.raises(IndexMismatchError, match="was filled with"):
        app(unnormalized, index=index)


def test_without_an_index_there_are_no_such_routes(encoder: Encoder) -> None:
    with Asgi(app(encoder)) as service:
        assert service.post("/search", {"queries": "a"}).status == 404
        assert service.post("/list", {}).status == 404
        assert service.get("/count").status == 404
