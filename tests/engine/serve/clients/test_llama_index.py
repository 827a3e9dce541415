"""LlamaIndex's client of text-embeddings-inference, unchanged, against our server."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simcse_engine import Encoder
from support.child import run_script
from support.servers import Server

# The last has more tokens than the artifact takes; the client asks to cut such texts.
TEXTS = [f"a man plays the guitar {number}" for number in range(25)] + ["一个男人在弹吉他。", "guitar " * 200]

ASK = """
    import asyncio, json, sys
    from llama_index.embeddings.text_embeddings_inference import TextEmbeddingsInference

    url, key, texts = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    client = TextEmbeddingsInference(model_name="any", base_url=url, auth_token=f"{key}", embed_batch_size=10)

    async def asynchronous():
        return await client.aget_query_embedding(texts[0]), await client.aget_text_embedding_batch(texts)

    print(json.dumps({
        "query": client.get_query_embedding(texts[0]),
        "text": client.get_text_embedding(texts[1]),
        "batch": client.get_text_embedding_batch(texts),
        "asynchronous": asyncio.run(asynchronous()),
    }))
"""


@pytest.fixture(scope="module")
def said(clients: Path, server: Server) -> dict[str, Any]:
    """What the client got."""
    answer: dict[str, Any] = json.loads(run_script(ASK, server.url, server.key, json.dumps(TEXTS), python=clients))
    return answer


def test_texts_become_the_vectors_of_the_encoder(said: dict[str, Any], encoder: Encoder) -> None:
    expected = encoder.encode(TEXTS, truncate="silent")
    query, batch = said["asynchronous"]
    np.testing.assert_allclose(said["query"], expected[0], atol=1e-6)
    np.testing.assert_allclose(query, expected[0], atol=1e-6)
    np.testing.assert_allclose(said["text"], expected[1], atol=1e-6)
    np.testing.assert_allclose(said["batch"], expected, atol=1e-6)
    np.testing.assert_allclose(batch, expected, atol=1e-6)
