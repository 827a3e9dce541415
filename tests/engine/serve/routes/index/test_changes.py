"""What changes of an index acknowledge is on the disk."""

from typing import Any

import numpy as np
import pytest

from simcse_engine import Encoder, Index
from simcse_engine.errors import DiskFullError
from simcse_engine.serve.routes.index.members import MAX_KEYS
from support.asgi import Asgi
from support.commands import TEXTS

from .conftest import LONG, MOST_TEXTS, SENTENCES

MAX_KEY = 2**64 - 2


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


def test_entries_are_removed_by_a_filter(service: Asgi, index: Index, encoder: Encoder) -> None:
    where = {"n": {"$lt": 10}, "even": True}
    assert service.post("/remove", {"where": where}).document == {"removed": 5}
    assert service.post("/remove", {"where": where}).document == {"removed": 0}
    with Index.open(index.folder, artifact=encoder, read_only=True) as again:
        assert [entry.key for entry in again][:6] == [1, 3, 5, 7, 9, 10]
    for body, words in (
        ({"keys": [1], "where": {}}, "remove takes keys or where, one of them"),
        ({"keys": None, "where": None}, "remove takes keys or where, one of them"),
        ({"where": {"n": {"$near": 3}}}, "$near"),
        ({"where": []}, "where"),
    ):
        refused = service.post("/remove", body)
        assert (refused.status, words in refused.document["error"]) == (422, True)
    assert service.get("/count").document == {"count": len(SENTENCES) - 5}
    assert service.post("/remove", {"where": {}}).document == {"removed": len(SENTENCES) - 5}


def test_metadata_are_updated(service: Asgi, index: Index, encoder: Encoder) -> None:
    before = index.vectors(range(len(SENTENCES)))
    body = {"keys": [5, 0, 1], "metadata": [{"seen": [1]}, {"n": 0, "even": True}, None]}
    assert service.post("/update", body).document == {"updated": 2}
    body = {"keys": [2, 3], "metadata": [{"even": None, "é": {}}, None], "merge": True}
    assert service.post("/update", body).document == {"updated": 1}
    with Index.open(index.folder, artifact=encoder, read_only=True) as again:
        assert [entry and entry.metadata for entry in again.get([5, 0, 1, 2, 3])] == [
            {"seen": [1]},
            {"n": 0, "even": True},
            None,
            {"n": 2, "even": None, "é": {}},
            {"n": 3, "even": False},
        ]
        assert [entry and entry.text for entry in again.get(range(len(SENTENCES)))] == SENTENCES
        np.testing.assert_array_equal(again.vectors(range(len(SENTENCES))), before)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"keys": [1, 99], "metadata": [{}, {}]}, "keys[1] is 99, under which there is no entry"),
        ({"keys": [1, 2, 1], "metadata": [{}, {}, {}]}, "keys[2] is keys[0] again (1)"),
        ({"keys": [1], "metadata": []}, "metadata has 0 for 1 keys"),
        ({"keys": [1], "metadata": [3]}, "metadata"),
        ({"keys": [1]}, "metadata"),
        ({"metadata": [{}]}, "keys"),
        ({"keys": ["a"], "metadata": [{}]}, "keys[0] is 'a'"),
        ({"keys": [1], "metadata": [{}], "merge": 1}, "merge"),
        ({"keys": [1] * (MAX_KEYS + 1), "metadata": [None] * (MAX_KEYS + 1)}, f"<= {MAX_KEYS}"),
    ],
)
def test_a_wrong_update_is_named_and_changes_nothing(service: Asgi, index: Index, body: Any, words: str) -> None:
    before = index.get(range(len(SENTENCES)))
    answer = service.post("/update", body)
    assert answer.status == 422
    assert words in answer.document["error"]
    assert index.get(range(len(SENTENCES))) == before


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


def test_updates_at_once_are_all_made(service: Asgi, index: Index) -> None:
    bodies = [{"keys": [key, 9], "metadata": [{"new": key}, {f"from {key}": key}], "merge": True} for key in range(9)]
    answers = service.together("/update", bodies)
    assert {answer.content for answer in answers} == {b'{"updated":2}'}
    assert [entry and entry.metadata for entry in index.get(range(9))] == [
        {"new": 5} if key == 5 else {"n": key, "even": key % 2 == 0, "new": key} for key in range(9)
    ]
    assert index.get([9])[0].metadata == {"n": 9, "even": False} | {f"from {key}": key for key in range(9)}  # type: ignore[union-attr]
