"""OpenAI's own client, unchanged, against our server."""

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simcse_engine import Encoder
from support.child import run_script
from support.servers import Server, serving

TEXTS = ["A man plays a guitar.", "the cat is on the mat", "一个男人在弹吉他。", "A man plays a guitar."]
MANY = [f"{'a man plays ' * (number % 7)}the guitar {number}" for number in range(64)]

CALL = """
    import asyncio, json, socket, sys, threading
    import openai

    url, key = sys.argv[1:3]
    asked = json.loads(sys.argv[3])
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)

    def create(client=client, **request):
        try:
            return client.embeddings.create(model="text-embedding-3-small", **request).model_dump(warnings=False)
        except openai.APIStatusError as error:
            # The client takes the inside of the document's member "error".
            return {"class": type(error).__name__, "status": error.status_code, "error": error.body,
                    "retry_after": error.response.headers.get("retry-after"), "request_id": error.request_id}
"""

ASK = """
    async def concurrent():
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0) as client:
            calls = [client.embeddings.create(model="m", input=text) for text in asked["many"]]
            return [answer.data[0].embedding for answer in await asyncio.gather(*calls)]

    said = {name: create(**request) for name, request in asked["requests"].items()}
    said["wrong key"] = create(client.with_options(api_key="another"), input="a")
    said["concurrent"] = asyncio.run(concurrent())
    said["models"] = [model.model_dump() for model in client.models.list()]
    print(json.dumps(said))
"""

REQUESTS: dict[str, dict[str, Any]] = {
    "one": {"input": TEXTS[0]},
    "several": {"input": TEXTS},
    "floats": {"input": TEXTS, "encoding_format": "float"},
    "base64": {"input": TEXTS, "encoding_format": "base64"},
    "fewer dimensions": {"input": TEXTS, "dimensions": 8},
    "no dimensions": {"input": TEXTS, "dimensions": 0},
    "too many dimensions": {"input": TEXTS, "dimensions": 100_000},
    "another format": {"input": TEXTS, "encoding_format": "hex"},
    "too long": {"input": ["a", "guitar " * 200]},
    "none": {"input": []},
    "token ids": {"input": [[791, 8415], [374]]},
    "one text's token ids": {"input": [791, 8415]},
    "a number": {"input": 7},
}


@pytest.fixture(scope="module")
def said(clients: Path, server: Server) -> dict[str, Any]:
    """What the client got for each request."""
    asked = json.dumps({"requests": REQUESTS, "many": MANY})
    answer: dict[str, Any] = json.loads(run_script(CALL + ASK, server.url, server.key, asked, python=clients))
    return answer


def test_texts_become_the_vectors_of_the_encoder(said: dict[str, Any], encoder: Encoder) -> None:
    expected = encoder.encode(TEXTS)
    # Without a format the client asks for base64 and decodes it.
    for name in ("several", "floats"):
        answer = said[name]
        assert [entry["index"] for entry in answer["data"]] == [0, 1, 2, 3]
        np.testing.assert_allclose([entry["embedding"] for entry in answer["data"]], expected, atol=1e-6)
    np.testing.assert_allclose([entry["embedding"] for entry in said["one"]["data"]], expected[:1], atol=1e-6)


def test_who_asks_for_base64_gets_the_same_vectors_in_it(said: dict[str, Any], encoder: Encoder) -> None:
    rows = [np.frombuffer(b64decode(entry["embedding"]), "<f4") for entry in said["base64"]["data"]]
    np.testing.assert_allclose(rows, encoder.encode(TEXTS), atol=1e-6)


def test_the_answer_has_openais_shape(said: dict[str, Any], encoder: Encoder) -> None:
    answer = said["several"]
    assert answer["object"] == "list"
    assert {entry["object"] for entry in answer["data"]} == {"embedding"}
    tokens = sum(len(ids) for ids in encoder.tokenize(TEXTS).ids)
    assert answer["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}
    assert [model["id"] for model in said["models"]] == [answer["model"]]
    assert {model["object"] for model in said["models"]} == {"model"}


def test_dimensions_are_the_first_ones_at_unit_length(said: dict[str, Any], encoder: Encoder) -> None:
    first = encoder.encode(TEXTS)[:, :8]
    expected = first / np.linalg.norm(first, axis=1, keepdims=True)
    answer = [entry["embedding"] for entry in said["fewer dimensions"]["data"]]
    np.testing.assert_allclose(answer, expected, atol=1e-6)


def test_concurrent_callers_get_their_own_vectors(said: dict[str, Any], encoder: Encoder) -> None:
    np.testing.assert_allclose(said["concurrent"], encoder.encode(MANY), atol=1e-6)


@pytest.mark.parametrize(
    ("request_name", "param", "words"),
    [
        ("no dimensions", "dimensions", "`int` >= 1"),
        ("too many dimensions", "dimensions", "100000"),
        ("another format", "encoding_format", "hex"),
        ("too long", "input", "32"),
        ("none", "input", "length >= 1"),
        ("token ids", "input", "check_embedding_ctx_length=False"),
        ("one text's token ids", "input", "check_embedding_ctx_length=False"),
        ("a number", "input", "int"),
    ],
)
def test_what_is_wrong_in_a_request_is_the_clients_bad_request(
    said: dict[str, Any], request_name: str, param: str, words: str
) -> None:
    answer = said[request_name]
    assert (answer["class"], answer["status"]) == ("BadRequestError", 400)
    assert answer["error"]["type"] == "invalid_request_error"
    assert words in answer["error"]["message"]
    assert answer["error"]["param"] == param
    assert answer["request_id"]


def test_a_wrong_key_is_the_clients_authentication_error(said: dict[str, Any]) -> None:
    answer = said["wrong key"]
    assert (answer["class"], answer["status"]) == ("AuthenticationError", 401)
    assert "another" not in json.dumps(answer)


CROWD = """
    import time

    def occupied():
        # A request that is under way until its body has come or its client has left.
        host, port = url.removeprefix("http://").split(":")
        held = socket.create_connection((host, int(port)))
        held.sendall(b"POST /v1/embeddings HTTP/1.1\\r\\nHost: localhost\\r\\nContent-Length: 100\\r\\n\\r\\n{")
        return held

    held = occupied()
    while "data" in (refused := create(input="a")):  # until the server has seen it
        time.sleep(0.01)
    threading.Timer(0.2, held.close).start()
    print(json.dumps({"refused": refused, "patient": create(client.with_options(max_retries=5), input=asked)}))
"""


def test_a_full_server_is_the_clients_rate_limit_and_its_retries_succeed(
    clients: Path, artifact: Path, encoder: Encoder
) -> None:
    with serving(artifact, "--max-concurrent-requests", "1") as server:
        said = json.loads(run_script(CALL + CROWD, server.url, "none", json.dumps(TEXTS), python=clients))
    refused = said["refused"]
    assert (refused["class"], refused["status"]) == ("RateLimitError", 429)
    assert int(refused["retry_after"]) >= 1
    np.testing.assert_allclose(
        [entry["embedding"] for entry in said["patient"]["data"]], encoder.encode(TEXTS), atol=1e-6
    )
