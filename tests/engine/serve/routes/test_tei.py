"""text-embeddings-inference's routes: the encoder's vectors, similarities and tokens."""

import io
from collections.abc import Iterator
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from simcse_engine import Encoder
from simcse_engine.forms import DType
from simcse_engine.serve import app
from support.asgi import Asgi
from support.commands import TEXTS
from support.sockets import Reply

from .conftest import MOST_TEXTS, NAME

NPY = "application/x-npy"
LONG = "the man plays guitar " * 20
SCRIPTS = [
    *("Ὁ ἄνθρωπος παίζει", "一个男人在弹吉他", "رجل يعزف", "आदमी गिटार", "ผู้ชายเล่นกีตาร์", "ギターを弾く男"),
    *("\0", "a\0b", "👩‍👩‍👧 family", "e\u0301 = é", "\u200b\ufeff", "  \n\t ", "�", "\U0010ffff", '"\\/\b\f'),
]


def vectors_of(answer: Reply, numpy: Any = np.float32) -> NDArray[Any]:
    if answer.headers["content-type"] == NPY:
        array: NDArray[Any] = np.load(io.BytesIO(answer.content), allow_pickle=False)
        assert array.dtype == numpy
        return array
    return np.array(answer.document, numpy)


@pytest.fixture(scope="module")
def other(unnormalized: Encoder) -> Iterator[Asgi]:
    """A service whose artifact gives vectors of any length."""
    with Asgi(app(unnormalized)) as service:
        yield service


@pytest.mark.parametrize("path", ["/embed", "/"])
@pytest.mark.parametrize("accept", ["application/json", NPY, f"application/json;q=0.5, {NPY}"])
def test_vectors_are_the_encoders_to_the_bit(service: Asgi, encoder: Encoder, path: str, accept: str) -> None:
    answer = service.post(path, {"inputs": TEXTS}, accept=accept)
    assert answer.headers["content-type"] == (NPY if NPY in accept else "application/json")
    assert np.array_equal(vectors_of(answer), encoder.encode(TEXTS))


def test_one_text_is_a_list_of_one(service: Asgi, encoder: Encoder) -> None:
    assert np.array_equal(vectors_of(service.post("/embed", {"inputs": "a cat"})), encoder.encode(["a cat"]))


@pytest.mark.parametrize("text", SCRIPTS, ids=ascii)
def test_any_text(service: Asgi, encoder: Encoder, text: str) -> None:
    assert np.array_equal(vectors_of(service.post("/embed", {"inputs": [text]})), encoder.encode([text]))


def test_dimensions(service: Asgi, encoder: Encoder) -> None:
    answer = service.post("/embed", {"inputs": TEXTS, "dimensions": 5}, accept=NPY)
    whole = encoder.encode(TEXTS)[:, :5]
    np.testing.assert_allclose(vectors_of(answer), whole / np.linalg.norm(whole, axis=1, keepdims=True), atol=1e-6)


@pytest.mark.parametrize("accept", ["application/json", NPY])
@pytest.mark.parametrize("dimensions", [None, 12])
@pytest.mark.parametrize("dtype", get_args(DType))
def test_forms(service: Asgi, encoder: Encoder, dtype: DType, dimensions: int | None, accept: str) -> None:
    expected = encoder.encode(TEXTS, dimensions=dimensions, dtype=dtype)
    answer = service.post("/embed", {"inputs": TEXTS, "dimensions": dimensions, "dtype": dtype}, accept=accept)
    vectors = vectors_of(answer, expected.dtype)
    # JSON has the digits that tell a number from its neighbours, and no others.
    assert np.array_equal(vectors, expected)
    assert vectors.shape == expected.shape


def test_eight_bits_of_vectors_that_are_normalized_when_asked(other: Asgi, unnormalized: Encoder) -> None:
    answer = other.post("/embed", {"inputs": TEXTS, "dtype": "int8"}, accept=NPY)
    np.testing.assert_allclose(vectors_of(answer, np.int8), unnormalized.encode(TEXTS, dtype="int8"), atol=1)
    refused = other.post("/embed", {"inputs": TEXTS, "dtype": "int8", "normalize": True})
    assert refused.status == 422
    assert "not at unit length" in refused.document["error"]
    bits = other.post("/embed", {"inputs": TEXTS, "dtype": "ubinary", "normalize": True}, accept=NPY)
    assert np.array_equal(vectors_of(bits, np.uint8), unnormalized.encode(TEXTS, dtype="ubinary"))


@pytest.mark.parametrize(("name", "prompt"), [("query", "the cat: "), ("other", "some one "), (None, "some one ")])
def test_prompts(with_prompts: Encoder, name: str | None, prompt: str) -> None:
    texts = [prompt + text for text in TEXTS]
    expected = with_prompts.encode(texts, prompt="")
    with Asgi(app(with_prompts)) as service:
        vectors = vectors_of(service.post("/embed", {"inputs": TEXTS, "prompt_name": name}))
        np.testing.assert_allclose(vectors, expected, atol=1e-6)
        inputs = {"source_sentence": TEXTS[0], "sentences": TEXTS[1:]}
        body = {"inputs": inputs, "parameters": {"prompt_name": name}}
        np.testing.assert_allclose(service.post("/similarity", body).document, expected[1:] @ expected[0], atol=1e-6)
        tokens = service.post("/tokenize", {"inputs": TEXTS, "prompt_name": name}).document
        assert [[token["id"] for token in each] for each in tokens] == with_prompts.tokenize(texts).ids
        info = service.get("/info").document
        assert info["prompts"] == {"query": "the cat: ", "document": "a man ", "other": "some one "}
        assert info["default_prompt_name"] == "other"


def test_a_long_text_is_refused_unless_it_may_be_cut(service: Asgi, cutting: Asgi, encoder: Encoder) -> None:
    refused = service.post("/embed", {"inputs": ["a cat", LONG]})
    assert refused.status == 413
    assert "inputs[1]" in refused.document["error"]
    cut = service.post("/embed", {"inputs": ["a cat", LONG], "truncate": True, "truncation_direction": "Right"})
    assert np.array_equal(vectors_of(cut), encoder.encode(["a cat", LONG], truncate="silent"))
    assert cut.headers["x-truncated"] == "1"
    assert cutting.post("/embed", {"inputs": LONG}).status == 200
    assert cutting.post("/embed", {"inputs": LONG, "truncate": False}).status == 413


def test_normalized_vectors_stay_so(service: Asgi, encoder: Encoder) -> None:
    answer = service.post("/embed", {"inputs": TEXTS, "normalize": True})
    assert np.array_equal(vectors_of(answer), encoder.encode(TEXTS))
    refused = service.post("/embed", {"inputs": TEXTS, "normalize": False})
    assert refused.status == 422
    assert "unit length" in refused.document["error"]


def test_others_are_normalized_when_asked(other: Asgi, unnormalized: Encoder) -> None:
    raw = unnormalized.encode(TEXTS)
    assert np.abs(np.linalg.norm(raw, axis=1) - 1).min() > 0.01
    for normalize in (None, False):
        vectors = vectors_of(other.post("/embed", {"inputs": TEXTS, "normalize": normalize}))
        np.testing.assert_allclose(vectors, raw, atol=1e-6)
        shorter = vectors_of(other.post("/embed", {"inputs": TEXTS, "normalize": normalize, "dimensions": 3}))
        np.testing.assert_allclose(shorter, raw[:, :3], atol=1e-6)
    for dimensions in (None, 3, unnormalized.dimension):
        body = {"inputs": TEXTS, "normalize": True, "dimensions": dimensions}
        part = raw[:, :dimensions]
        expected = part / np.linalg.norm(part, axis=1, keepdims=True)
        np.testing.assert_allclose(vectors_of(other.post("/embed", body)), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"inputs": []}, "length >= 1"),
        ({"inputs": [1, 2]}, "str"),
        ({"inputs": {"a": "b"}}, "str"),
        ({"inputs": "a", "truncate": "yes"}, "bool"),
        ({"inputs": "a", "truncation_direction": "left"}, "left"),
        ({"inputs": "a", "truncation_direction": "Left"}, "Left"),
        ({"inputs": "a", "prompt_name": "queries"}, "this artifact's prompts are 'query', 'document'"),
        ({"inputs": "a", "dtype": "int4"}, "int4"),
        ({"inputs": "a", "dimensions": 0}, ">= 1"),
        ({"inputs": "a", "dimensions": 33}, "have 32"),
        ({"inputs": ["a"] * (MOST_TEXTS + 1)}, f"{MOST_TEXTS} (--max-client-batch-size)"),
    ],
)
def test_a_wrong_body_is_named(service: Asgi, body: Any, words: str) -> None:
    answer = service.post("/embed", body)
    assert (answer.status, answer.document["error_type"]) == (422, "validation")
    assert words in answer.document["error"]


def test_similarities_are_cosines(service: Asgi, encoder: Encoder, other: Asgi, unnormalized: Encoder) -> None:
    body = {"inputs": {"source_sentence": "a man", "sentences": TEXTS}, "parameters": {}}
    for asked, theirs in ((service, encoder), (other, unnormalized)):
        vectors = theirs.encode(["a man", *TEXTS]).astype(np.float64)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        np.testing.assert_allclose(asked.post("/similarity", body).document, vectors[1:] @ vectors[0], atol=1e-6)


def test_similarity_has_parameters(service: Asgi) -> None:
    inputs = {"source_sentence": LONG, "sentences": [LONG, "a cat"]}
    assert service.post("/similarity", {"inputs": inputs}).status == 413
    cut = service.post("/similarity", {"inputs": inputs, "parameters": {"truncate": True}})
    assert cut.document[0] == 1
    assert service.post("/similarity", {"inputs": inputs, "parameters": {"prompt_name": "a"}}).status == 422
    assert service.post("/similarity", {"inputs": {**inputs, "sentences": []}}).status == 422
    # The source sentence counts too.
    assert service.post("/similarity", {"inputs": {**inputs, "sentences": ["a"] * MOST_TEXTS}}).status == 422


@pytest.mark.parametrize("texts", [TEXTS, SCRIPTS], ids=["english", "scripts"])
def test_tokens_are_the_tokenizers_with_their_places(service: Asgi, encoder: Encoder, texts: list[str]) -> None:
    document = service.post("/tokenize", {"inputs": texts}).document
    assert [[token["id"] for token in tokens] for tokens in document] == encoder.tokenize(texts).ids
    for text, tokens in zip(texts, document, strict=True):
        content = text.encode()
        for token in tokens[1:-1]:
            assert not token["special"]
            assert content[token["start"] : token["stop"]].decode() == token["text"]
        assert [token["text"] for token in (tokens[0], tokens[-1])] == ["[CLS]", "[SEP]"]
        for token in (tokens[0], tokens[-1]):
            assert (token["special"], token["start"], token["stop"]) == (True, None, None)


def test_tokens_without_special_ones(service: Asgi, encoder: Encoder) -> None:
    (tokens,) = service.post("/tokenize", {"inputs": "a man plays", "add_special_tokens": False}).document
    assert [token["id"] for token in tokens] == encoder.tokenize(["a man plays"]).ids[0][1:-1]
    assert service.post("/tokenize", {"inputs": "", "add_special_tokens": False}).document == [[]]


def test_all_tokens_of_a_long_text(service: Asgi) -> None:
    (tokens,) = service.post("/tokenize", {"inputs": "a " * 30_000}).document
    assert [(token["start"], token["stop"]) for token in tokens[1:-1]] == [(2 * i, 2 * i + 1) for i in range(30_000)]


def test_what_tokenize_refuses(service: Asgi) -> None:
    answer = service.post("/tokenize", {"inputs": ["a" * 40_000, "é" * 25_537]})
    assert answer.status == 413
    assert "65,537 characters; 65,536" in answer.document["error"]
    assert service.post("/tokenize", {"inputs": "a", "prompt_name": "b"}).status == 422
    assert service.post("/tokenize", {"inputs": ["a"] * (MOST_TEXTS + 1)}).status == 422
    assert service.post("/tokenize", {"inputs": []}).status == 422


def test_info_says_what_is_served(service: Asgi, other: Asgi, encoder: Encoder, unnormalized: Encoder) -> None:
    info = service.get("/info").document
    assert info["model_type"] == {"embedding": {"pooling": "cls"}}
    assert info["model_dtype"] == encoder.manifest.precision == "int8"
    assert info["served_model_name"] == NAME
    assert info["identity"] == encoder.manifest.identity
    assert info["max_input_length"] == encoder.max_tokens
    assert info["max_client_batch_size"] == MOST_TEXTS
    assert info["max_batch_tokens"] == 1024
    assert (info["normalized"], info["kernels"]) == (True, encoder.kernels)
    assert not info["entries"]
    assert not info["keywords"]
    assert other.get("/info").document["model_id"] == unnormalized.manifest.source.id
    assert not other.get("/info").document["normalized"]


def test_other_kinds_of_model_are_not_here(service: Asgi) -> None:
    for path in ("/rerank", "/predict", "/embed_sparse", "/embed_all", "/decode"):
        answer = service.post(path, {"inputs": "a"})
        assert answer.status == 404
        assert "/openapi.json" in answer.document["error"]
