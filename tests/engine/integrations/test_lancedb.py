"""LanceDB's tables with our embedding function, made and opened again in another process."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simcse_engine import Encoder
from support.databases import QUERY, TEXTS, check_found
from support.frameworks import run_with_frameworks

ASK = """
    import asyncio, json, sys
    import lancedb
    from lancedb.embeddings import get_registry
    from lancedb.pydantic import LanceModel, Vector
    import simcse_engine.integrations.lancedb

    artifact, folder, texts, query = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), sys.argv[4]
    simcse = get_registry().get("simcse").create(artifact=artifact, threads=1)

    class Row(LanceModel):
        text: str = simcse.SourceField()
        vector: Vector(simcse.ndims()) = simcse.VectorField()

    def refused(call):
        try:
            call()
        except Exception as error:
            return [type(error).__name__, str(error)]

    table = lancedb.connect(folder).create_table("texts", schema=Row)
    table.add([{"text": text} for text in texts])
    found = table.search(query).metric("cosine").limit(3).to_list()

    async def asynchronous():
        opened = await (await lancedb.connect_async(folder)).open_table("texts")
        rows = await (await opened.search(query)).distance_type("cosine").limit(3).to_list()
        return [[row["text"] for row in rows], [row["_distance"] for row in rows]]

    get_registry().set_var("place", artifact)
    variable = get_registry().get("simcse").create(artifact="$var:place", dimensions=8)
    vectors = table.to_arrow()["vector"].combine_chunks()
    print(json.dumps({
        "stored": vectors.to_pylist(),
        "type": str(vectors.type),
        "query": simcse.compute_query_embeddings(query)[0].tolist(),
        "found": [[row["text"] for row in found], [row["_distance"] for row in found]],
        "asynchronous": asyncio.run(asynchronous()),
        "remembered": json.loads(table.schema.metadata[b"embedding_functions"])[0]["model"],
        "variable": [variable.ndims(), variable.safe_model_dump()],
        "cut": [row.tolist() for row in variable.compute_source_embeddings(texts)],
        "none": variable.compute_source_embeddings([]),
        "no text": refused(lambda: table.add([{"text": None}])),
        "no artifact": refused(lambda: get_registry().get("simcse").create(artifact=artifact + "-lost").ndims()),
    }))
"""

REOPEN = """
    import json, shutil, sys
    import lancedb
    import simcse_engine.integrations.lancedb

    folder, query, artifact, another = sys.argv[1:]

    def search():
        found = lancedb.connect(folder).open_table("texts").search(query).metric("cosine").limit(3).to_list()
        return [[row["text"] for row in found], [row["_distance"] for row in found]]

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
    """What LanceDB got."""
    answer: dict[str, Any] = json.loads(
        run_with_frameworks(ASK, moved, moved.with_name("tables"), json.dumps(TEXTS), QUERY)
    )
    return answer


def test_texts_and_queries_have_the_encoders_vectors(said: dict[str, Any], encoder: Encoder) -> None:
    np.testing.assert_allclose(said["stored"], encoder.encode_document(TEXTS), atol=1e-6)
    np.testing.assert_allclose(said["query"], encoder.encode_query([QUERY])[0], atol=1e-6)
    assert said["type"] == f"fixed_size_list<item: float>[{encoder.dimension}]"


def test_a_table_finds_by_cosines(said: dict[str, Any], encoder: Encoder) -> None:
    for found in (said["found"], said["asynchronous"]):
        check_found(found, encoder)


def test_a_table_opens_its_artifact_again_and_no_other(
    said: dict[str, Any], moved: Path, artifact: Path, encoder: Encoder
) -> None:
    identity = encoder.manifest.identity
    assert said["remembered"] == {"artifact": str(moved), "dimensions": None, "identity": identity, "threads": 1}
    found, error, message = json.loads(run_with_frameworks(REOPEN, moved.with_name("tables"), QUERY, moved, artifact))
    check_found(found, encoder)
    assert error == "IndexMismatchError"
    assert str(moved) in message


def test_a_variable_of_the_registry_and_fewer_dimensions(said: dict[str, Any], encoder: Encoder) -> None:
    identity = encoder.manifest.identity
    assert said["variable"] == [8, {"artifact": "$var:place", "dimensions": 8, "identity": identity}]
    np.testing.assert_allclose(said["cut"], encoder.encode_document(TEXTS, dimensions=8), atol=1e-6)
    assert said["none"] == []


def test_refusals_come_at_once(said: dict[str, Any]) -> None:
    # Arrow hands on no class.
    assert "texts[0] is NoneType, not str" in said["no text"][1]
    assert said["no artifact"][0] == "ArtifactNotFoundError"
