"""LlamaIndex's in-memory index over our embedding."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simcse_engine import Encoder
from support.frameworks import run_with_frameworks

TEXTS = ["A man plays a guitar.", "the cat is on the mat", "一个男人在弹吉他。", "a dog is walking"]
QUERIES = [f"the dog is walking {number}" for number in range(64)]

ASK = """
    import asyncio, json, pickle, sys
    from llama_index.core import VectorStoreIndex
    from llama_index.core.schema import TextNode
    from simcse_engine import Encoder
    from simcse_engine.integrations.llama_index import SimCSEEmbedding

    artifact, texts, queries = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
    model = SimCSEEmbedding(artifact, threads=1, max_tokens=40, num_workers=2)
    index = VectorStoreIndex([TextNode(text=text) for text in texts], embed_model=model)
    retriever = index.as_retriever(similarity_top_k=3)

    async def asynchronous():
        vectors = await asyncio.gather(*map(model.aget_query_embedding, queries))
        return vectors, await model.aget_text_embedding_batch(texts), await model.aget_text_embedding(texts[0])

    def found(nodes):
        return [[node.text, node.score] for node in nodes]

    def refused(call):
        try:
            call()
        except Exception as error:
            return [type(error).__name__, str(error)]

    copies = pickle.loads(pickle.dumps(model)), SimCSEEmbedding.from_dict(json.loads(model.to_json()))
    print(json.dumps({
        "texts": model.get_text_embedding_batch(texts),
        "text": model.get_text_embedding(texts[0]),
        "query": model.get_query_embedding(queries[0]),
        "none": model.get_text_embedding_batch([]),
        "asynchronous": asyncio.run(asynchronous()),
        "found": [found(retriever.retrieve(queries[0])), found(asyncio.run(retriever.aretrieve(queries[0])))],
        "copies": [copy.get_query_embedding(queries[0]) for copy in copies],
        "written": [copy.to_dict() for copy in (model, *copies)],
        "of an encoder": SimCSEEmbedding(Encoder(artifact), dimensions=8).get_text_embedding_batch(texts),
        "no such option": refused(lambda: SimCSEEmbedding(artifact, treads=1)),
        "no text": refused(lambda: model.get_text_embedding_batch(["a", None])),
    }))
"""


@pytest.fixture(scope="module")
def said(prompted: Path) -> dict[str, Any]:
    """What LlamaIndex got."""
    answer: dict[str, Any] = json.loads(run_with_frameworks(ASK, prompted, json.dumps(TEXTS), json.dumps(QUERIES)))
    return answer


def test_texts_and_queries_have_the_encoders_vectors(said: dict[str, Any], encoder: Encoder) -> None:
    queries, texts, text = said["asynchronous"]
    assert said["none"] == []
    for vectors in (said["texts"], texts):
        np.testing.assert_allclose(vectors, encoder.encode_document(TEXTS), atol=1e-6)
    for vector in (said["text"], text):
        np.testing.assert_allclose(vector, encoder.encode_document(TEXTS[:1])[0], atol=1e-6)
    np.testing.assert_allclose(queries, encoder.encode_query(QUERIES), atol=1e-6)
    assert np.array_equal(np.float32(said["query"]), said["query"]), "not the float32 values"


def test_the_index_finds_by_cosines(said: dict[str, Any], encoder: Encoder) -> None:
    cosines = encoder.encode_document(TEXTS) @ encoder.encode_query(QUERIES[:1])[0]
    order = np.argsort(-cosines)[:3]
    for found in said["found"]:
        assert [text for text, _ in found] == [TEXTS[row] for row in order]
        np.testing.assert_allclose([score for _, score in found], cosines[order], atol=1e-6)


def test_copies_are_opened_as_the_first_was(said: dict[str, Any], prompted: Path) -> None:
    assert said["copies"] == [said["query"]] * 2
    first, *others = said["written"]
    assert others == [first] * 2
    assert first["artifact"] == str(prompted)
    assert first["options"] == {"threads": 1, "max_tokens": 40}


def test_an_open_encoder_and_fewer_dimensions(said: dict[str, Any], encoder: Encoder) -> None:
    np.testing.assert_allclose(said["of an encoder"], encoder.encode_document(TEXTS, dimensions=8), atol=1e-6)


def test_refusals(said: dict[str, Any]) -> None:
    assert said["no such option"][0] == "ValidationError"
    assert "treads" in said["no such option"][1]
    assert said["no text"] == ["InputTypeError", "texts[1] is NoneType, not str"]
