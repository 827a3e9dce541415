"""LangChain's in-memory store over our embeddings."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simcse_engine import Encoder
from support.frameworks import run_with_frameworks

TEXTS = ["A man plays a guitar.", "the cat is on the mat", "", "一个男人在弹吉他。"]
QUERIES = [f"the dog is walking {number}" for number in range(64)]

ASK = """
    import asyncio, json, pickle, sys
    from langchain_core.embeddings import Embeddings
    from langchain_core.vectorstores import InMemoryVectorStore
    from simcse_engine import Encoder
    from simcse_engine.integrations.langchain import SimCSEEmbeddings

    artifact, texts, queries = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
    model = SimCSEEmbeddings(artifact, threads=1)
    assert isinstance(model, Embeddings)
    store = InMemoryVectorStore.from_texts(texts, model)

    async def asynchronous():
        vectors = await asyncio.gather(*map(model.aembed_query, queries))
        return vectors, await model.aembed_documents(texts), await model.aembed_documents([])

    def refused(call):
        try:
            call()
        except Exception as error:
            return [type(error).__name__, str(error)]

    print(json.dumps({
        "documents": model.embed_documents(texts),
        "query": model.embed_query(queries[0]),
        "none": model.embed_documents([]),
        "asynchronous": asyncio.run(asynchronous()),
        "found": [[found.page_content, score] for found, score in store.similarity_search_with_score(queries[0])],
        "pickled": pickle.loads(pickle.dumps(model)).embed_query(queries[0]),
        "of an encoder": SimCSEEmbeddings(Encoder(artifact), dimensions=8).embed_documents(texts),
        "no text": refused(lambda: model.embed_query(None)),
        "no text, asynchronous": refused(lambda: asyncio.run(model.aembed_query(None))),
        "no artifact": refused(lambda: SimCSEEmbeddings(artifact + "-lost")),
    }))
"""


@pytest.fixture(scope="module")
def said(prompted: Path) -> dict[str, Any]:
    """What LangChain got."""
    answer: dict[str, Any] = json.loads(run_with_frameworks(ASK, prompted, json.dumps(TEXTS), json.dumps(QUERIES)))
    return answer


def test_documents_and_queries_have_the_encoders_vectors(said: dict[str, Any], encoder: Encoder) -> None:
    queries, documents, none = said["asynchronous"]
    assert none == said["none"] == []
    for vectors in (said["documents"], documents):
        np.testing.assert_allclose(vectors, encoder.encode_document(TEXTS), atol=1e-6)
    np.testing.assert_allclose(queries, encoder.encode_query(QUERIES), atol=1e-6)
    assert said["query"] == said["pickled"]
    np.testing.assert_allclose(said["query"], queries[0], atol=1e-6)
    assert np.array_equal(np.float32(said["query"]), said["query"]), "not the float32 values"


def test_the_store_finds_by_cosines(said: dict[str, Any], encoder: Encoder) -> None:
    cosines = encoder.encode_document(TEXTS) @ encoder.encode_query(QUERIES[:1])[0]
    order = np.argsort(-cosines)
    assert [text for text, _ in said["found"]] == [TEXTS[row] for row in order]
    np.testing.assert_allclose([score for _, score in said["found"]], cosines[order], atol=1e-6)


def test_an_open_encoder_and_fewer_dimensions(said: dict[str, Any], encoder: Encoder) -> None:
    np.testing.assert_allclose(said["of an encoder"], encoder.encode_document(TEXTS, dimensions=8), atol=1e-6)


def test_refusals(said: dict[str, Any]) -> None:
    for name in ("no text", "no text, asynchronous"):
        assert said[name] == ["InputTypeError", "texts[0] is NoneType, not str"]
    assert said["no artifact"][0] == "ArtifactNotFoundError"
