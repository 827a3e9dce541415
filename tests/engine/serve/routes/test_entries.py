"""The routes of an index: what they answer is the index's own, and what they acknowledge is on the disk."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from simcse_engine import Encoder, Index
from simcse_engine.errors import DiskFullError, IndexMismatchError
from simcse_engine.index.storage.keys import KEY_KINDS
from simcse_engine.serve import ServeOptions, app
from simcse_engine.serve.routes import entries
from simcse_engine.serve.routes.entries import MAX_HITS, MAX_KEYS
from support.asgi import Asgi
from support.commands import TEXTS

from .conftest import MOST_TEXTS

LONG = "the man plays guitar " * 20
SENTENCES = [f"{who} {does} {what}" for who in ("a man", "some cat", "the girl") for does in ("plays", "is on", "eats")
             for what in ("the guitar", "a mat", "an onion")]  # fmt: skip
MAX_KEY = 2**64 - 2


@pytest.fixture
def index(encoder: Encoder, tmp_path: Path) -> Iterator[Index]:
    """Twenty-seven sentences, whose metadata are their numbers and whether those are even."""
    with Index.create(tmp_path / "index", encoder) as index:
        metadata = [None if i == 5 else {"n": i, "even": i % 2 == 0} for i in range(len(SENTENCES))]
        index.add(SENTENCES, metadata=metadata)
        yield index


@pytest.fixture
def service(encoder: Encoder, index: Index) -> Iterator[Asgi]:
    with Asgi(app(encoder, index=index, options=ServeOptions(max_client_batch_size=MOST_TEXTS))) as service:
        yield service


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


def test_what_is_added_is_the_encoders_and_on_the_disk(service: Asgi, index: Index, encoder: Encoder) -> None:
    added = service.post("/add", {"texts": TEXTS, "metadata": [{"a": [1, {"b": None}]}, None, {}, {"é": "\0"}]})
    keys = added.document["keys"]
    assert keys == list(range(len(SENTENCES), len(SENTENCES) + len(TEXTS)))
    # Another reader sees what another process would after a crash.
    with Index.open(index.folder, artifact=encoder, read_only=True) as again:
        assert [entry and (entry.text, entry.metadata) for entry in again.get(keys)] == [
            (TEXTS[0], {"a": [1, {"b": None}]}),
            (TEXTS[1], None),
            (TEXTS[2], {}),
            (TEXTS[3], {"é": "\0"}),
        ]
        for text, vector in zip(TEXTS, encoder.encode(TEXTS), strict=True):
            (hits,) = again.search(vector[None], k=1)
            assert hits[0].text == text
            assert hits[0].score == pytest.approx(1, abs=1e-6)


def test_one_text_with_a_large_key_and_large_numbers(service: Asgi) -> None:
    metadata = {"whole": 2**200, "small": -(2**70), "float": 0.1, "deep": [[[[]]]]}
    assert service.post("/add", {"texts": "a cat", "keys": [MAX_KEY], "metadata": [metadata]}).document == {
        "keys": [MAX_KEY]
    }
    entry = {"key": MAX_KEY, "text": "a cat", "metadata": metadata}
    assert service.post("/get", {"keys": [MAX_KEY, 99, MAX_KEY]}).document == [entry, None, entry]
    ((hit,),) = service.post("/search", {"queries": "a cat", "k": 1, "where": {"whole": 2**200}}).document
    assert hit["key"] == MAX_KEY


def test_an_entry_of_the_same_key_is_replaced(service: Asgi) -> None:
    assert service.post("/add", {"texts": ["something else"], "keys": [3]}).status == 200
    assert service.post("/get", {"keys": [3]}).document == [{"key": 3, "text": "something else", "metadata": None}]
    assert service.get("/count").document == {"count": len(SENTENCES)}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"texts": []}, "length >= 1"),
        ({"texts": [None]}, "str"),
        ({"texts": ["a", "b"], "keys": [1]}, "keys has 1 for 2 texts"),
        ({"texts": ["a", "b"], "keys": [1, 1]}, "keys[1]"),
        ({"texts": ["a"], "keys": [-1]}, "keys[0] is -1"),
        ({"texts": ["a"], "keys": [2**64 - 1]}, "2**64 - 2"),
        ({"texts": ["a"], "keys": ["b"]}, "keys[0] is 'b'; expected a whole number"),
        ({"texts": ["a"], "keys": [1.5]}, "int"),
        ({"texts": ["a", "b"], "metadata": [{}]}, "metadata has 1 for 2 texts"),
        ({"texts": ["a"], "metadata": [3]}, "object"),
        ({"texts": ["a"], "metadata": {"a": 1}}, "array"),
        ({"texts": ["a"] * (MOST_TEXTS + 1)}, "--max-client-batch-size"),
        (b'{"texts": ["a"], "metadata": [{"a": ' + b"[" * 150 + b"]" * 150 + b"}]}", "nested more than 100 deep"),
    ],
)
def test_a_wrong_addition_is_named_and_adds_nothing(service: Asgi, index: Index, body: Any, words: str) -> None:
    answer = service.post("/add", body)
    assert answer.status == 422
    assert words in answer.document["error"]
    assert len(index) == len(SENTENCES)


@pytest.mark.parametrize(
    "bad", [b'{"a": NaN}', b'{"a": Infinity}', b'{"a": "\\udc00"}', b'{"a": "\xed\xa0\x80"}', b"{"]
)
def test_metadata_that_are_no_json(service: Asgi, index: Index, bad: bytes) -> None:
    assert service.post("/add", b'{"texts": ["a"], "metadata": [' + bad + b"]}").status == 400
    assert len(index) == len(SENTENCES)


@pytest.mark.parametrize("number", ["1e400", "1" * 5000])
def test_numbers_that_nothing_holds(service: Asgi, number: str) -> None:
    answer = service.post("/add", f'{{"texts": ["a"], "metadata": [{{"a": {number}}}]}}'.encode())
    assert answer.status == 422
    assert "metadata" in answer.document["error"]


def test_a_long_text_is_added_only_cut_when_asked(service: Asgi) -> None:
    assert service.post("/add", {"texts": ["a", LONG]}).status == 413
    assert service.get("/count").document == {"count": len(SENTENCES)}
    answer = service.post("/add", {"texts": ["a", LONG], "truncate": True})
    assert (answer.status, answer.headers["x-truncated"]) == (200, "1")


def test_entries_are_removed(service: Asgi, index: Index) -> None:
    assert service.post("/remove", {"keys": [3, 4, 99, 3]}).document == {"removed": 2}
    assert service.post("/remove", {"keys": []}).document == {"removed": 0}
    assert service.post("/get", {"keys": [2, 3]}).document[1] is None
    assert service.get("/count").document == {"count": len(index)} == {"count": len(SENTENCES) - 2}
    for body in ({"keys": [-1]}, {"keys": 3}, {"keys": [1] * (MAX_KEYS + 1)}, {}):
        assert service.post("/remove", body).status == 422


@pytest.mark.parametrize(
    ("path", "body", "fewer"),
    [
        ("/get", {"keys": [3] * 20}, {"keys": [3]}),
        ("/search", {"queries": [SENTENCES[3]] * 20}, {"queries": SENTENCES[3], "k": 1}),
        ("/search", {"queries": SENTENCES[3], "k": 20}, {"queries": SENTENCES[3], "k": 1}),
    ],
)
def test_an_answer_has_a_largest_size(
    service: Asgi, monkeypatch: pytest.MonkeyPatch, path: str, body: Any, fewer: Any
) -> None:
    assert service.post(path, body).status == 200
    monkeypatch.setattr(entries, "MAX_BYTES", 1000)
    answer = service.post(path, body)
    assert (answer.status, "more than 1,000 bytes" in answer.document["error"]) == (422, True)
    # One alone is there, however large it is.
    monkeypatch.setattr(entries, "MAX_BYTES", 1)
    assert service.post(path, fewer).status == 200


def test_additions_at_once_get_their_own_keys(service: Asgi, index: Index) -> None:
    bodies: list[dict[str, Any]] = [{"texts": [f"text {i}", f"other {i}"]} for i in range(30)]
    for i in range(0, len(SENTENCES), 3):
        bodies[i]["keys"] = [i, i + 1]  # of entries that are replaced
    bodies[7]["metadata"] = [{"seven": 7}, None]
    for body, answer in zip(bodies, service.together("/add", bodies), strict=True):
        keys = answer.document["keys"]
        assert keys == body.get("keys", keys)
        assert [entry and entry.text for entry in index.get(keys)] == body["texts"]
    assert len(index) == len(SENTENCES) + 60 - 2 * len(SENTENCES) // 3
    (hit,) = index.search(["text 7"], where={"seven": 7})[0]
    assert hit.text == "text 7"


def test_of_additions_at_once_the_wrong_ones_fail_alone(service: Asgi, index: Index) -> None:
    bodies = [{"texts": ["a"]}, {"texts": ["b"], "keys": [1, 2]}, {"texts": [LONG]}, {"texts": ["c"], "keys": [50]}]
    assert [answer.status for answer in service.together("/add", bodies)] == [200, 422, 413, 200]
    assert len(index) == len(SENTENCES) + 2


def test_the_same_key_from_many_at_once_is_one_of_theirs(service: Asgi, index: Index) -> None:
    texts = [f"text {i}" for i in range(12)]
    answers = service.together("/add", [{"texts": [text], "keys": [7]} for text in texts])
    assert {answer.status for answer in answers} == {200}
    assert index.get([7])[0].text in texts  # type: ignore[union-attr]
    assert len(index) == len(SENTENCES)


def test_searches_and_additions_at_once(service: Asgi, encoder: Encoder) -> None:
    searches = service.together("/search", [{"queries": [text], "k": 1} for text in SENTENCES])
    assert [answer.document[0][0]["text"] for answer in searches] == SENTENCES
    assert np.isfinite(encoder.encode(SENTENCES)).all()


def test_whoever_leaves_takes_nothing_along(service: Asgi) -> None:
    for _ in range(5):
        service.leave("/add", {"texts": ["gone"]})
    assert service.post("/add", {"texts": ["stays"], "keys": [500]}).document == {"keys": [500]}
    assert service.post("/search", {"queries": "stays", "k": 1}).document[0][0]["key"] == 500


def test_a_full_disk_is_said_and_the_next_addition_works(
    service: Asgi, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> list[int]:
        raise DiskFullError("there is no room")

    with monkeypatch.context() as patch:
        patch.setattr(index, "add_vectors", full)
        answers = service.together("/add", [{"texts": ["a"]}, {"texts": ["b"]}])
    assert [(answer.status, answer.document["error"]) for answer in answers] == [(507, "there is no room")] * 2
    assert service.post("/add", {"texts": ["a"]}).status == 200


def test_an_index_that_another_writes(encoder: Encoder, index: Index) -> None:
    with Asgi(app(encoder, index=index.folder)) as service:
        for path, body in (("/add", {"texts": ["a"]}), ("/remove", {"keys": [1]})):
            answer = service.post(path, body)
            assert (answer.status, answer.document["error_type"]) == (409, "conflict")
        assert service.get("/count").document == {"count": len(SENTENCES)}


def test_an_index_that_is_only_read(encoder: Encoder, index: Index) -> None:
    with (
        Index.open(index.folder, artifact=encoder, read_only=True) as reader,
        Asgi(app(encoder, index=reader)) as service,
    ):
        for path, body in (("/add", {"texts": ["a"]}), ("/remove", {"keys": [1]})):
            answer = service.post(path, body)
            assert (answer.status, answer.document["error_type"]) == (403, "forbidden")
            assert "--read-only" in answer.document["error"]
        assert service.post("/search", {"queries": "a"}).status == 200


def test_an_open_index_of_another_artifact(unnormalized: Encoder, index: Index) -> None:
    with pytest.raises(IndexMismatchError, match="was filled with"):
        app(unnormalized, index=index)


def test_without_an_index_there_are_no_such_routes(encoder: Encoder) -> None:
    with Asgi(app(encoder)) as service:
        assert service.post("/search", {"queries": "a"}).status == 404
        assert service.get("/count").status == 404


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("str", ["a/ü 😀", "0123", '"']),
        ("uuid", ["6ba7b810-9dad-11d1-80b4-00c04fd430c8", str(UUID(int=0)), str(UUID(int=5))]),
    ],
)
def test_keys_that_are_no_numbers(encoder: Encoder, tmp_path: Path, kind: str, keys: list[str]) -> None:
    texts = SENTENCES[:3]
    with (
        Index.create(tmp_path / kind, encoder, keys=kind) as index,
        Asgi(app(encoder, index=index, options=ServeOptions(max_client_batch_size=MOST_TEXTS))) as service,
    ):
        assert service.post("/add", {"texts": texts, "keys": keys}).document == {"keys": keys}
        entries = [{"key": key, "text": text, "metadata": None} for key, text in zip(keys, texts, strict=True)]
        assert service.post("/get", {"keys": keys}).document == entries
        (hits,) = service.post("/search", {"queries": texts[1], "k": 1}).document
        assert [hit["key"] for hit in hits] == keys[1:2]
        for route, more in (("/add", {"texts": "a"}), ("/get", {}), ("/remove", {})):
            answer = service.post(route, {"keys": [7], **more})
            assert answer.status == 422
            assert answer.document["error"].startswith("keys[0] is 7; expected a ")
        automatic = service.post("/add", {"texts": "a"})
        if kind == "str":
            assert automatic.status == 422
            assert "none is automatic" in automatic.document["error"]
        else:
            (key,) = automatic.document["keys"]
            assert index.get([key])[0].text == "a"
        assert service.post("/remove", {"keys": keys[:2]}).document == {"removed": 2}
        schemas = service.get("/openapi.json").document["components"]["schemas"]
        assert schemas["HitAnswer"]["properties"]["key"]["anyOf"] == [KEY_KINDS[kind].schema]
