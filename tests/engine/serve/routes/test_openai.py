"""OpenAI's routes: the encoder's vectors, in OpenAI's shapes, and its errors."""

import base64
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from simcse_engine import Encoder
from simcse_engine.forms import DType
from simcse_engine.serve import app
from support.asgi import Asgi
from support.commands import TEXTS

from .conftest import MOST_TEXTS, NAME

PATH = "/v1/embeddings"
LONG = "the man plays guitar " * 20


def numbers(document: Any) -> NDArray[np.float32]:
    """The vectors of an answer with numbers; JSON's doubles must be no other floats than were meant."""
    return np.array([each["embedding"] for each in document["data"]], np.float32)


def decoded(document: Any) -> NDArray[np.float32]:
    """The vectors of an answer in base64."""
    return np.stack(
        [np.frombuffer(base64.b64decode(each["embedding"], validate=True), "<f4") for each in document["data"]]
    )


@pytest.mark.parametrize("more", [{}, {"encoding_format": "float"}, {"encoding_format": None}])
def test_numbers_are_the_encoders_to_the_bit(service: Asgi, encoder: Encoder, more: dict[str, Any]) -> None:
    document = service.post(PATH, {"input": TEXTS, "model": "any", **more}).document
    assert np.array_equal(numbers(document), encoder.encode(TEXTS))
    assert [each["index"] for each in document["data"]] == list(range(len(TEXTS)))
    assert {each["object"] for each in document["data"]} == {"embedding"}
    assert (document["object"], document["model"]) == ("list", NAME)


def test_base64_is_the_encoders_to_the_bit(service: Asgi, encoder: Encoder) -> None:
    document = service.post(PATH, {"input": TEXTS, "encoding_format": "base64"}).document
    assert np.array_equal(decoded(document), encoder.encode(TEXTS))


def test_one_text(service: Asgi, encoder: Encoder) -> None:
    document = service.post(PATH, {"input": "some cat"}).document
    assert np.array_equal(numbers(document), encoder.encode(["some cat"]))


def test_usage_counts_tokens(service: Asgi, encoder: Encoder) -> None:
    tokens = sum(map(len, encoder.tokenize(TEXTS).ids))
    assert service.post(PATH, {"input": TEXTS}).document["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}


@pytest.mark.parametrize("shape", ["float", "base64"])
def test_fewer_dimensions_are_cut_and_of_unit_length(service: Asgi, encoder: Encoder, shape: str) -> None:
    document = service.post(PATH, {"input": TEXTS, "dimensions": 7, "encoding_format": shape}).document
    vectors = numbers(document) if shape == "float" else decoded(document)
    whole = encoder.encode(TEXTS)[:, :7]
    np.testing.assert_allclose(vectors, whole / np.linalg.norm(whole, axis=1, keepdims=True), atol=1e-6)


@pytest.mark.parametrize("dtype", get_args(DType))
def test_forms(service: Asgi, encoder: Encoder, dtype: DType) -> None:
    expected = encoder.encode(TEXTS, dimensions=12, dtype=dtype)
    body = {"input": TEXTS, "dimensions": 12, "dtype": dtype}
    rows = [each["embedding"] for each in service.post(PATH, body).document["data"]]
    assert np.array_equal(np.array(rows, expected.dtype), expected)
    coded = service.post(PATH, {**body, "encoding_format": "base64"}).document["data"]
    rows = [np.frombuffer(base64.b64decode(each["embedding"]), expected.dtype.newbyteorder("<")) for each in coded]
    assert np.array_equal(rows, expected)


def test_prompts(with_prompts: Encoder) -> None:
    with Asgi(app(with_prompts)) as other:
        for name, prompt in (("query", "the cat: "), (None, "some one ")):
            expected = with_prompts.encode([prompt + text for text in TEXTS], prompt="")
            answer = other.post(PATH, {"input": TEXTS, "prompt_name": name}).document
            np.testing.assert_allclose(numbers(answer), expected, atol=1e-6)
            tokens = sum(with_prompts.count_tokens(TEXTS, prompt=prompt))
            assert answer["usage"]["prompt_tokens"] == tokens


def test_all_dimensions_are_all(service: Asgi, encoder: Encoder) -> None:
    document = service.post(PATH, {"input": TEXTS, "dimensions": encoder.dimension}).document
    assert np.array_equal(numbers(document), encoder.encode(TEXTS))


def test_other_members_are_ignored(service: Asgi) -> None:
    body = {"input": "a cat", "user": "me", "model": None, "extra": {"a": [1]}, "truncate": 5}
    assert service.post(PATH, body).document == service.post(PATH, {"input": "a cat"}).document


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({"input": 3}, "input", "str"),
        ({"input": None}, "input", "str"),
        ({"input": {"a": 1}}, "input", "str"),
        ({"input": []}, "input", "length >= 1"),
        ({"input": ["a", None]}, "input", "null"),
        ({"input": ["a", 1.5]}, "input", "float"),
        ({}, None, "input"),
        ([], None, "object"),
        ({"input": "a", "dimensions": 0}, "dimensions", ">= 1"),
        ({"input": "a", "dimensions": 33}, "dimensions", "have 32"),
        ({"input": "a", "prompt_name": "queries"}, "prompt_name", "'queries': this artifact's prompts are"),
        ({"input": "a", "dtype": "int4"}, "dtype", "int4"),
        ({"input": "a", "dimensions": 1.5}, "dimensions", "int"),
        ({"input": "a", "dimensions": 10**40}, "dimensions", "32"),
        ({"input": "a", "encoding_format": "hex"}, "encoding_format", "hex"),
        ({"input": "a", "model": 3}, "model", "str"),
        ({"input": ["a"] * (MOST_TEXTS + 1)}, "input", "--max-client-batch-size"),
        (b'{"input": "\xff"}', None, "UTF-8"),
        (b'{"input": "\\ud800"}', None, "JSON"),
        (b'{"input": "a", "dimensions": NaN}', None, "JSON"),
        (b'{"input": "a", "x": Infinity}', None, "JSON"),
        (b'{"input": "a"', None, "JSON"),
        (b'{"input": "a"} and more', None, "JSON"),
        (b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", None, "JSON"),
        (b"", None, "JSON"),
    ],
)
def test_a_wrong_body_is_named(service: Asgi, body: Any, param: str | None, words: str) -> None:
    answer = service.post(PATH, body)
    error = answer.document["error"]
    assert (answer.status, error["type"], error["param"]) == (400, "invalid_request_error", param)
    assert words in error["message"]


@pytest.mark.parametrize("ids", [[1, 2], [[1, 2], [3]], ["a", 1], [[]]])
def test_token_ids_are_refused_with_the_option_that_turns_them_off(service: Asgi, ids: Any) -> None:
    answer = service.post(PATH, {"input": ids})
    assert (answer.status, answer.document["error"]["param"]) == (400, "input")
    assert "check_embedding_ctx_length=False" in answer.document["error"]["message"]


def test_the_last_of_equal_members_counts(service: Asgi) -> None:
    twice = service.post(PATH, b'{"input": "a man", "input": "a cat"}').document
    assert twice == service.post(PATH, {"input": "a cat"}).document


def test_a_long_text_is_refused(service: Asgi) -> None:
    answer = service.post(PATH, {"input": ["a cat", LONG]})
    error = answer.document["error"]
    assert (answer.status, error["code"], error["param"]) == (400, "context_length_exceeded", "input")
    assert "input[1]" in error["message"]


def test_a_long_text_is_cut_where_the_service_says_so(cutting: Asgi, encoder: Encoder) -> None:
    answer = cutting.post(PATH, {"input": ["a cat", LONG]})
    assert np.array_equal(numbers(answer.document), encoder.encode(["a cat", LONG], truncate="silent"))
    assert answer.headers["x-truncated"] == "1"


def test_many_at_once_get_their_own_vectors(service: Asgi, encoder: Encoder) -> None:
    groups = [[f"{'the man plays ' * (i % 7)}{i}", TEXTS[i % len(TEXTS)]] for i in range(60)]
    answers = service.together(PATH, [{"input": group, "encoding_format": "base64"} for group in groups])
    for group, answer in zip(groups, answers, strict=True):
        assert np.array_equal(decoded(answer.document), encoder.encode(group))


def test_a_failing_request_among_others_fails_alone(service: Asgi, encoder: Encoder) -> None:
    bodies = [{"input": "a cat"}, {"input": LONG}, {"input": 3}, {"input": "a man"}]
    answers = service.together(PATH, bodies)
    assert [answer.status for answer in answers] == [200, 400, 400, 200]
    assert np.array_equal(numbers(answers[3].document), encoder.encode(["a man"]))


def test_the_model_is_listed(service: Asgi) -> None:
    (model,) = service.get("/v1/models").document["data"]
    assert (model["id"], model["object"]) == (NAME, "model")
    assert service.get(f"/v1/models/{NAME}").document == model
    assert service.get(f"/v1/models/{NAME.replace('/', '%2F')}").document == model


def test_another_model_is_not_there(service: Asgi) -> None:
    answer = service.get("/v1/models/text-embedding-3-small")
    assert (answer.status, answer.document["error"]["code"]) == (404, "model_not_found")
    assert NAME in answer.document["error"]["message"]
