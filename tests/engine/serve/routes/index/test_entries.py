"""Entries read over HTTP are the index's own."""

from base64 import b64decode
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
import pytest

from simcse_engine import Encoder, Index
from simcse_engine.forms import VectorForm
from simcse_engine.index.storage.key_kinds import KEY_KINDS
from simcse_engine.serve import ServeOptions, app
from simcse_engine.serve.routes.index import answers, entries
from simcse_engine.serve.routes.index.members import MAX_KEYS
from support.asgi import Asgi
from support.commands import TEXTS

from .conftest import MOST_TEXTS, SENTENCES

MAX_KEY = 2**64 - 2


@pytest.mark.parametrize(
    ("path", "body", "fewer"),
    [
        ("/get", {"keys": [3] * 20}, {"keys": [3]}),
        ("/get", {"keys": [3] * 3, "vectors": True}, {"keys": [3], "vectors": True}),
        ("/search", {"queries": [SENTENCES[3]] * 20}, {"queries": SENTENCES[3], "k": 1}),
        ("/search", {"queries": SENTENCES[3], "k": 20}, {"queries": SENTENCES[3], "k": 1}),
    ],
)
def test_an_answer_has_a_largest_size(
    service: Asgi, monkeypatch: pytest.MonkeyPatch, path: str, body: Any, fewer: Any
) -> None:
    assert service.post(path, body).status == 200
    monkeypatch.setattr(answers, "MAX_BYTES", 1000)
    answer = service.post(path, body)
    assert (answer.status, "more than 1,000 bytes" in answer.document["error"]) == (422, True)
    # One alone is there, however large it is.
    monkeypatch.setattr(answers, "MAX_BYTES", 1)
    assert service.post(path, fewer).status == 200


@pytest.mark.parametrize("where", [None, {"even": False}, {"n": {"$exists": False}}, {"n": {"$nin": [1, 2]}}])
def test_entries_are_counted(service: Asgi, index: Index, where: Any) -> None:
    assert service.post("/count", {"where": where}).document == {"count": index.count(where)}
    refused = service.post("/count", {"where": {"n": {"$near": 3}}})
    assert (refused.status, "$near" in refused.document["error"]) == (422, True)
    assert service.post("/count", {}).document == service.get("/count").document == {"count": len(SENTENCES)}


def test_entries_with_vectors(service: Asgi, index: Index, encoder: Encoder) -> None:
    keys = [5, 99, 0, 5]
    vectors = dict(zip([5, 0], index.vectors([5, 0]), strict=True))
    for more, read in (
        ({}, lambda vector: np.array(vector, np.float32)),
        ({"encoding_format": "base64"}, lambda text: np.frombuffer(b64decode(text), "<f4")),
    ):
        found = service.post("/get", {"keys": keys, "vectors": True, **more}).document
        for key, entry, plain in zip(keys, found, service.post("/get", {"keys": keys}).document, strict=True):
            if plain is None:
                assert entry is None
            else:
                np.testing.assert_array_equal(read(entry.pop("vector")), vectors[key])
                assert entry == plain
    body = {"keys": [5], "vectors": True, "dimensions": 5, "dtype": "int8"}
    (entry,) = service.post("/get", body).document
    form = VectorForm.of(encoder.manifest, 5, "int8")
    assert entry["vector"] == form.apply(vectors[5][None])[0].tolist()
    (entry,) = service.post("/get", {**body, "encoding_format": "base64"}).document
    assert b64decode(entry["vector"]) == form.apply(vectors[5][None]).tobytes()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"vectors": 1}, "vectors"),
        ({"encoding_format": "npy"}, "encoding_format"),
        ({"dimensions": 10_000}, "dimensions is 10000"),
        ({"dtype": "int4"}, "dtype"),
    ],
)
def test_a_wrong_form_of_vectors_is_named(service: Asgi, more: Any, words: str) -> None:
    for path, body in (("/get", {"keys": [1]}), ("/list", {})):
        answer = service.post(path, {**body, **more})
        assert answer.status == 422
        assert words in answer.document["error"]


def test_vectors_have_unit_length_whatever_the_artifact_gives(unnormalized: Encoder, tmp_path: Path) -> None:
    with (
        Index.create(tmp_path / "index", unnormalized) as index,
        Asgi(app(unnormalized, index=index)) as service,
    ):
        index.add(TEXTS)
        for more in ({}, {"dimensions": 3}):
            for entry in service.post("/list", {"vectors": True, **more}).document["entries"]:
                assert np.linalg.norm(entry["vector"]) == pytest.approx(1)
        refused = service.post("/list", {"vectors": True, "dtype": "int8"})
        assert (refused.status, "dtype" in refused.document["error"]) == (422, True)


def pages(service: Asgi, **body: Any) -> list[list[Any]]:
    """The pages of entries, up to the one that says that it is the last."""
    found, after = [], None
    while True:
        page = service.post("/list", {**body, "after": after}).document
        found.append(page["entries"])
        after = page["after"]
        if after is None:
            return found
        assert after == page["entries"][-1]["key"]


@pytest.mark.parametrize(
    ("body", "sizes"),
    [
        ({}, [27]),
        ({"limit": 27}, [27, 0]),
        ({"limit": 10}, [10, 10, 7]),
        ({"limit": 4, "where": {"even": False}}, [4] * 3 + [0]),
    ],
)
@pytest.mark.parametrize("at_once", [1, 4, 256])
def test_entries_are_listed_by_pages(
    service: Asgi, index: Index, body: dict[str, Any], sizes: list[int], at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "_READ_FIRST", at_once)
    found = pages(service, **body)
    assert list(map(len, found)) == sizes
    expected = [entry._asdict() for entry in index.entries(body.get("where"))]
    assert [entry for page in found for entry in page] == expected
    with_vectors = [entry for page in pages(service, **body, vectors=True) for entry in page]
    vectors = [entry.pop("vector") for entry in with_vectors]
    assert with_vectors == expected
    np.testing.assert_array_equal(np.array(vectors, np.float32), index.vectors([each["key"] for each in expected]))


def test_what_changes_between_two_pages(service: Asgi, index: Index) -> None:
    first = service.post("/list", {"limit": 9}).document
    assert service.post("/remove", {"keys": [8, 20]}).status == 200
    assert service.post("/update", {"keys": [3, 12], "metadata": [None, None]}).status == 200
    index.compact()
    rest = service.post("/list", {"after": first["after"]}).document
    assert [entry["key"] for entry in first["entries"] + rest["entries"]] == [*range(20), *range(21, 27)]
    assert rest["entries"][3]["metadata"] is None


def test_a_page_ends_where_its_bytes_would_be_too_many(service: Asgi, monkeypatch: pytest.MonkeyPatch) -> None:
    read, page_of = [], Index.page
    monkeypatch.setattr(Index, "page", lambda *a, **k: read.append(page_of(*a, **k)) or read[-1])
    monkeypatch.setattr(entries, "_READ_FIRST", 2)
    for most in (1000, 1):
        monkeypatch.setattr(answers, "MAX_BYTES", most)
        read.clear()
        found = pages(service)
        # Hardly more is read than there is room for.
        assert sum(map(len, read)) <= 2 * 27 + 2 * len(found)
        assert [entry["key"] for page in found for entry in page] == list(range(27))
        if most == 1:
            # One alone is there, however large it is.
            assert {len(page) for page in found} == {1}
        else:
            sizes = [sum(len(msgspec.json.encode(entry)) for entry in page) for page in found]
            assert all(most - 100 < size <= most for size in sizes[:-1])


def test_an_empty_index_has_an_empty_page(encoder: Encoder, tmp_path: Path) -> None:
    with Index.create(tmp_path / "index", encoder) as index, Asgi(app(encoder, index=index)) as service:
        assert service.post("/list", {}).document == {"entries": [], "after": None}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"limit": 0}, ">= 1"),
        ({"limit": MAX_KEYS + 1}, f"<= {MAX_KEYS}"),
        ({"after": "a"}, "after is 'a'; expected a whole number"),
        ({"after": -1}, "after is -1"),
        ({"where": {"$not": 3}}, "a filter is int"),
    ],
)
def test_a_wrong_page_is_named(service: Asgi, body: Any, words: str) -> None:
    answer = service.post("/list", body)
    assert answer.status == 422
    assert words in answer.document["error"]


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
        for route, more in (("/add", {"texts": "a"}), ("/get", {}), ("/update", {"metadata": [{}]}), ("/remove", {})):
            answer = service.post(route, {"keys": [7], **more})
            assert answer.status == 422
            assert answer.document["error"].startswith("keys[0] is 7; expected a ")
        assert service.post("/update", {"keys": keys[1:2], "metadata": [{"a": 1}]}).document == {"updated": 1}
        assert [page["key"] for page in service.post("/list", {"limit": 9}).document["entries"]] == sorted(keys)
        page = service.post("/list", {"limit": 1, "after": sorted(keys)[1]}).document
        assert ([entry["key"] for entry in page["entries"]], page["after"]) == (sorted(keys)[2:], sorted(keys)[2])
        refused = service.post("/list", {"after": 7})
        assert (refused.status, refused.document["error"][:22]) == (422, "after is 7; expected a")
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
