"""Chroma's collections with our embedding function, in memory and opened again in another process."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simcse_engine import Encoder
from support.databases import QUERY, TEXTS, check_found
from support.frameworks import run_with_frameworks

ASK = """
    import json, os, sys
    import chromadb
    from chromadb.utils.embedding_functions import config_to_embedding_function
    from simcse_engine import Encoder
    from simcse_engine.integrations.chroma import SimCSEEmbeddingFunction

    artifact, folder, texts, query = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), sys.argv[4]

    def filled(client, function):
        collection = client.create_collection("texts", embedding_function=function)
        collection.add(ids=list(map(str, range(len(texts)))), documents=texts)
        return collection

    def refused(call):
        try:
            call()
        except Exception as error:
            return [type(error).__name__, str(error)]

    client = chromadb.EphemeralClient()
    function = SimCSEEmbeddingFunction(artifact, threads=1)
    collection = filled(client, function)
    found = collection.query(query_texts=[query], n_results=3)
    os.chdir(os.path.dirname(artifact))
    filled(chromadb.PersistentClient(folder), SimCSEEmbeddingFunction(os.path.basename(artifact), threads=1))
    config, whole = function.get_config(), len(function(texts)[0])
    again = config_to_embedding_function({"name": "simcse", "config": config})
    print(json.dumps({
        "stored": collection.get(include=["embeddings"])["embeddings"].tolist(),
        "vectors": [[row.tolist() for row in rows] for rows in (function(texts), function.embed_query([query]))],
        "types": sorted({str(row.dtype) for row in function(texts)}),
        "space": collection.configuration["hnsw"]["space"],
        "found": [found["documents"][0], found["distances"][0]],
        "config": config,
        "again": again.get_config(),
        "of an encoder": [row.tolist() for row in SimCSEEmbeddingFunction(Encoder(artifact), dimensions=8)(texts)],
        "no artifact in it": refused(lambda: SimCSEEmbeddingFunction.build_from_config({"threads": 1})),
        "no such option": refused(lambda: SimCSEEmbeddingFunction.build_from_config({**config, "treads": 1})),
        "another identity": refused(lambda: function.validate_config_update(config, {**config, "identity": "0"})),
        "another length": refused(lambda: function.validate_config_update(config, {**config, "max_tokens": 5})),
        "the same, named": refused(lambda: function.validate_config_update(config, {**config, "dimensions": whole})),
        "another place": refused(lambda: function.validate_config_update(config, {**config, "artifact": "x"})),
        "no text": refused(lambda: function(["a", None])),
        "none": refused(lambda: function([])),
    }))
"""

REOPEN = """
    import json, shutil, sys
    import chromadb
    import simcse_engine.integrations.chroma

    folder, query, artifact, another = sys.argv[1:]

    def search():
        collection = chromadb.PersistentClient(folder).get_collection("texts")
        found = collection.query(query_texts=[query], n_results=3)
        return [found["documents"][0], found["distances"][0]]

    found = search()
    shutil.rmtree(artifact)
    shutil.copytree(another, artifact)
    try:
        search()
    except Exception as error:
        print(json.dumps([found, type(error).__name__, str(error)]))
"""


@pytest.fixture(scope="module")
def said(moved: Path) -> dict[str, Any]:
    """What Chroma got."""
    collections = moved.with_name("collections")
    answer: dict[str, Any] = json.loads(run_with_frameworks(ASK, moved, collections, json.dumps(TEXTS), QUERY))
    return answer


def test_documents_and_queries_have_the_encoders_vectors(said: dict[str, Any], encoder: Encoder) -> None:
    documents, queries = said["vectors"]
    for vectors in (documents, said["stored"]):
        np.testing.assert_allclose(vectors, encoder.encode_document(TEXTS), atol=1e-6)
    np.testing.assert_allclose(queries, encoder.encode_query([QUERY]), atol=1e-6)
    assert said["types"] == ["float32"]


def test_a_collection_finds_by_cosines(said: dict[str, Any], encoder: Encoder) -> None:
    assert said["space"] == "cosine"
    check_found(said["found"], encoder)


def test_a_collection_opens_its_artifact_again_and_no_other(
    said: dict[str, Any], moved: Path, artifact: Path, encoder: Encoder
) -> None:
    identity = encoder.manifest.identity
    config = {"artifact": str(moved), "dimensions": None, "identity": identity, "threads": 1}
    assert said["config"] == said["again"] == config
    found, error, message = json.loads(
        run_with_frameworks(REOPEN, moved.with_name("collections"), QUERY, moved, artifact)
    )
    check_found(found, encoder)
    assert error == "IndexMismatchError"
    assert str(moved) in message


def test_an_open_encoder_and_fewer_dimensions(said: dict[str, Any], encoder: Encoder) -> None:
    np.testing.assert_allclose(said["of an encoder"], encoder.encode_document(TEXTS, dimensions=8), atol=1e-6)


def test_refusals(said: dict[str, Any]) -> None:
    wrong = "this is no configuration of the embedding function simcse: "
    assert said["no artifact in it"] == ["InputValueError", wrong + "no artifact's folder or hub id"]
    assert said["no such option"] == ["InputValueError", wrong + "unknown treads"]
    assert said["another identity"][0] == "InputValueError"
    assert said["another length"][0] == "InputValueError"
    assert said["the same, named"] is None
    assert said["another place"] is None
    assert said["no text"] == ["InputTypeError", "texts[1] is NoneType, not str"]
    assert said["none"][0] == "ValueError"
