"""langchain-openai, unchanged but for one option, against our server."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simcse_engine import Encoder
from support.child import run_script
from support.servers import Server

TEXTS = ["A man plays a guitar.", "the cat is on the mat", "", "一个男人在弹吉他。"]

ASK = """
    import asyncio, json, sys
    import openai, tiktoken, tiktoken.registry
    from langchain_openai import OpenAIEmbeddings

    url, key, texts = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    # tiktoken downloads OpenAI's vocabulary. One of bytes stands in for it: no server of ours takes either.
    ids = {bytes([byte]): byte for byte in range(256)}
    plain = tiktoken.Encoding("cl100k_base", pat_str=r"\\S+|\\s+", mergeable_ranks=ids, special_tokens={})
    tiktoken.registry.ENCODINGS["cl100k_base"] = plain

    def embeddings(**options):
        return OpenAIEmbeddings(base_url=f"{url}/v1", api_key=key, max_retries=0, **options)

    model = embeddings(check_embedding_ctx_length=False)
    said = {
        "documents": model.embed_documents(texts),
        "query": model.embed_query(texts[0]),
        "in chunks": embeddings(check_embedding_ctx_length=False, chunk_size=3).embed_documents(texts),
        "fewer dimensions": embeddings(check_embedding_ctx_length=False, dimensions=8).embed_documents(texts),
        "asynchronous": asyncio.run(model.aembed_documents(texts)),
    }
    try:
        embeddings().embed_documents(texts)
    except openai.APIStatusError as error:
        said["token ids"] = {"class": type(error).__name__, "message": str(error)}
    print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said(clients: Path, server: Server) -> dict[str, Any]:
    """What the client got."""
    answer: dict[str, Any] = json.loads(run_script(ASK, server.url, server.key, json.dumps(TEXTS), python=clients))
    return answer


def test_texts_become_the_vectors_of_the_encoder(said: dict[str, Any], encoder: Encoder) -> None:
    expected = encoder.encode(TEXTS)
    np.testing.assert_allclose(said["documents"], expected, atol=1e-6)
    np.testing.assert_allclose(said["in chunks"], expected, atol=1e-6)
    np.testing.assert_allclose(said["asynchronous"], expected, atol=1e-6)
    np.testing.assert_allclose(said["query"], expected[0], atol=1e-6)
    assert np.shape(said["fewer dimensions"]) == (len(TEXTS), 8)


def test_token_ids_of_another_vocabulary_name_the_option_that_turns_them_off(said: dict[str, Any]) -> None:
    assert said["token ids"]["class"] == "BadRequestError"
    assert "check_embedding_ctx_length=False" in said["token ids"]["message"]
