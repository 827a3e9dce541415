"""Searches: the hits are the index's own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simcse_engine import Encoder, Index
from simcse_engine.serve import app
from simcse_engine.serve.routes.index.search import MAX_HITS
from support.asgi import Asgi
from support.commands import TEXTS

from .conftest import LONG, MOST_TEXTS, SENTENCES

MAX_KEY = 2**64 - 2


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"k": 1},
        {"k": MAX_HITS // 4},
        {"threshold": 0.9},
        {"threshold": 2, "k": 3},
        {"where": {"n": {"$gte": 20}, "even": True}},
        {"where": {"$or": [{"n": 3}, {"even": None}]}, "exact": True, "k": 9},
        {"exact": False, "where": None, "threshold": None},
    ],
)
def test_hits_are_the_indexes(service: Asgi, index: Index, more: dict[str, Any]) -> None:
    answer = service.post("/search", {"queries": TEXTS, **more})
    found = [[tuple(hit.values()) for hit in hits] for hits in answer.document]
    assert found == [[tuple(hit) for hit in hits] for hits in index.search(TEXTS, **{"k": 5, **more})]
    assert float(answer.headers["x-search-time"]) > 0


def test_words_are_searched_where_the_index_has_them(service: Asgi, index: Index) -> None:
    body = {"queries": ["onion girl", "zebra"], "k": 4}
    refused = service.post("/search", {**body, "mode": "hybrid"})
    assert refused.status == 422
    assert 'mode "hybrid" needs an index of words' in refused.document["error"]
    assert not service.get("/info").document["keywords"]
    index.build_keywords()
    assert service.get("/info").document["keywords"]
    for mode in ("keywords", "hybrid", "vector"):
        answer = service.post("/search", {**body, "mode": mode}).document
        found = [[tuple(hit.values()) for hit in hits] for hits in answer]
        assert found == [[tuple(hit) for hit in hits] for hits in index.search(body["queries"], k=4, mode=mode)]
        assert len(found[1]) == (0 if mode == "keywords" else 4)


def test_queries_and_documents_have_prompts_of_their_own(with_prompts: Encoder, tmp_path: Path) -> None:
    with (
        Index.create(tmp_path / "index", with_prompts) as index,
        Asgi(app(with_prompts, index=index)) as service,
    ):
        assert service.post("/add", {"texts": SENTENCES}).status == 200
        answer = service.post("/search", {"queries": TEXTS, "k": 3}).document
        assert [[tuple(hit.values()) for hit in hits] for hits in answer] == [
            [tuple(hit) for hit in hits] for hits in index.search(TEXTS, k=3)
        ]
        with Index.create(tmp_path / "other", with_prompts) as other:
            other.add(SENTENCES)
            scores = [[hit.score for hit in hits] for hits in other.search(TEXTS, k=3)]
        np.testing.assert_allclose([[hit["score"] for hit in hits] for hits in answer], scores, atol=1e-5)


def test_one_query(service: Asgi) -> None:
    ((hit,),) = service.post("/search", {"queries": SENTENCES[7], "k": 1}).document
    assert (hit["key"], hit["text"], hit["metadata"]) == (7, SENTENCES[7], {"n": 7, "even": False})
    assert hit["score"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"queries": []}, "length >= 1"),
        ({"queries": 3}, "str"),
        ({"queries": "a", "k": 0}, ">= 1"),
        ({"queries": "a", "k": MAX_HITS + 1}, f"<= {MAX_HITS}"),
        ({"queries": ["a", "b"], "k": MAX_HITS}, "32,768 hits; 16,384"),
        ({"queries": "a", "k": True}, "int"),
        ({"queries": "a", "threshold": "high"}, "float"),
        ({"queries": "a", "where": []}, "object"),
        ({"queries": "a", "where": {"n": {"$near": 3}}}, "$near"),
        ({"queries": "a", "where": {"n": {}}}, "n"),
        ({"queries": "a", "exact": 1}, "bool"),
        ({"queries": "a", "mode": "words"}, "mode"),
        ({"queries": "a", "mode": "keywords", "threshold": 0.5}, "threshold"),
        ({"queries": ["a"] * (MOST_TEXTS + 1)}, "--max-client-batch-size"),
    ],
)
def test_a_wrong_search_is_named(service: Asgi, body: Any, words: str) -> None:
    answer = service.post("/search", body)
    assert answer.status == 422
    assert words in answer.document["error"]


def test_a_long_query_is_cut_when_asked(service: Asgi, index: Index, encoder: Encoder) -> None:
    assert service.post("/search", {"queries": LONG}).status == 413
    ((hit,),) = service.post("/search", {"queries": LONG, "k": 1, "truncate": True}).document
    assert hit["key"] == index.search(encoder.encode([LONG], truncate="silent"), k=1)[0][0].key


def test_searches_and_additions_at_once(service: Asgi, encoder: Encoder) -> None:
    searches = service.together("/search", [{"queries": [text], "k": 1} for text in SENTENCES])
    assert [answer.document[0][0]["text"] for answer in searches] == SENTENCES
    assert np.isfinite(encoder.encode(SENTENCES)).all()
