"""Haystack's pipelines with our embedders, over its in-memory store."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simcse_engine import Encoder
from support.frameworks import run_with_frameworks

TEXTS = ["A man plays a guitar.", "the cat is on the mat", "", "一个男人在弹吉他。"]
QUERY = "the dog is walking"

ASK = """
    import asyncio, json, sys
    from haystack import Document, Pipeline
    from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
    from haystack.components.writers import DocumentWriter
    from haystack.document_stores.in_memory import InMemoryDocumentStore
    from simcse_engine import Encoder
    from simcse_engine.integrations.haystack import SimCSEDocumentEmbedder, SimCSETextEmbedder

    artifact, texts, query = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
    OURS = ["simcse_engine.integrations.haystack"]

    def reread(pipeline):
        return Pipeline.loads(pipeline.dumps(), allowed_modules=OURS)

    store = InMemoryDocumentStore(embedding_similarity_function="cosine")
    indexing = Pipeline()
    embedder = SimCSEDocumentEmbedder(artifact, threads=1, meta_fields_to_embed=["title", "year"])
    indexing.add_component("embedder", embedder)
    indexing.add_component("writer", DocumentWriter(store))
    indexing.connect("embedder.documents", "writer.documents")
    rereads = reread(indexing).get_component("embedder")
    metas = [{"title": "music", "year": 2026}, {"title": None}, {}, {"other": "x"}]
    documents = [Document(content=text, meta=meta) for text, meta in zip(texts, metas)]
    indexing.run({"embedder": {"documents": documents}})

    searching = Pipeline()
    searching.add_component("embedder", SimCSETextEmbedder(artifact, threads=1))
    searching.add_component("retriever", InMemoryEmbeddingRetriever(store, top_k=3))
    searching.connect("embedder.embedding", "retriever.query_embedding")
    found = reread(searching).run({"embedder": {"text": query}})["retriever"]["documents"]

    async def asynchronous():
        text, documents_ = SimCSETextEmbedder(artifact), SimCSEDocumentEmbedder(artifact)
        embedded = await documents_.run_async(documents)
        return (await text.run_async(query))["embedding"], [each.embedding for each in embedded["documents"]]

    def refused(call):
        try:
            call()
        except Exception as error:
            return [type(error).__name__, str(error)]

    by_text = {each.content: each.embedding for each in store.filter_documents()}
    short = SimCSEDocumentEmbedder(Encoder(artifact), dimensions=8, embedding_separator=" ").run(documents)
    print(json.dumps({
        "stored": [by_text[text] for text in texts],
        "query": SimCSETextEmbedder(artifact).run(query)["embedding"],
        "found": [[each.content, each.score] for each in found],
        "asynchronous": asyncio.run(asynchronous()),
        "none": SimCSEDocumentEmbedder(artifact).run([]),
        "untouched": [each.embedding for each in documents],
        "of an encoder": [each.embedding for each in short["documents"]],
        "written": [embedder.to_dict(), rereads.to_dict()],
        "documents for a text": refused(lambda: SimCSETextEmbedder(artifact).run(documents)),
        "a text for documents": refused(lambda: SimCSEDocumentEmbedder(artifact).run(query)),
        "no artifact": refused(lambda: SimCSETextEmbedder(artifact + "-lost").warm_up()),
    }))
"""


@pytest.fixture(scope="module")
def said(prompted: Path) -> dict[str, Any]:
    """What Haystack got."""
    answer: dict[str, Any] = json.loads(run_with_frameworks(ASK, prompted, json.dumps(TEXTS), QUERY))
    return answer


@pytest.fixture
def embedded(encoder: Encoder) -> np.ndarray:
    """What the documents' vectors are, with the metadata that stands before their content."""
    return encoder.encode_document([f"music\n2026\n{TEXTS[0]}", *TEXTS[1:]])


def test_documents_and_texts_have_the_encoders_vectors(
    said: dict[str, Any], encoder: Encoder, embedded: np.ndarray
) -> None:
    query, documents = said["asynchronous"]
    np.testing.assert_allclose(said["stored"], embedded, atol=1e-6)
    np.testing.assert_allclose(documents, encoder.encode_document(TEXTS), atol=1e-6)
    for vector in (said["query"], query):
        np.testing.assert_allclose(vector, encoder.encode_query([QUERY])[0], atol=1e-6)
    assert np.array_equal(np.float32(said["query"]), said["query"]), "not the float32 values"
    assert said["none"] == {"documents": []}
    assert said["untouched"] == [None] * len(TEXTS)


def test_a_pipeline_finds_by_cosines(said: dict[str, Any], encoder: Encoder, embedded: np.ndarray) -> None:
    cosines = embedded @ encoder.encode_query([QUERY])[0]
    order = np.argsort(-cosines)[:3]
    assert [text for text, _ in said["found"]] == [TEXTS[row] for row in order]
    np.testing.assert_allclose([score for _, score in said["found"]], cosines[order], atol=1e-6)


def test_a_component_is_written_by_its_artifacts_name(said: dict[str, Any], prompted: Path) -> None:
    first, again = said["written"]
    assert first == again
    assert first["init_parameters"] == {
        "artifact": str(prompted),
        "dimensions": None,
        "meta_fields_to_embed": ["title", "year"],
        "embedding_separator": "\n",
        "threads": 1,
    }


def test_an_open_encoder_and_fewer_dimensions(said: dict[str, Any], encoder: Encoder) -> None:
    np.testing.assert_allclose(said["of an encoder"], encoder.encode_document(TEXTS, dimensions=8), atol=1e-6)


def test_refusals(said: dict[str, Any]) -> None:
    assert said["documents for a text"][0] == "InputTypeError"
    assert said["a text for documents"][0] == "TypeError"
    assert said["no artifact"][0] == "ArtifactNotFoundError"
