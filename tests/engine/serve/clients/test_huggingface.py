"""huggingface_hub's InferenceClient, unchanged, against our server."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simcse_engine import Encoder
from support.child import run_script
from support.servers import Server

TEXTS = ["A man plays a guitar.", "the cat is on the mat", "一个男人在弹吉他。"]
LONG = "guitar " * 200

ASK = """
    import asyncio, json, sys
    from huggingface_hub import AsyncInferenceClient, InferenceClient
    from huggingface_hub.errors import HfHubHTTPError

    url, key, texts, long = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), sys.argv[4]
    client = InferenceClient(url, token=key)

    def extract(texts, client=client, **options):
        try:
            return client.feature_extraction(texts, **options).tolist()
        except HfHubHTTPError as error:
            return {"status": error.response.status_code, "message": str(error), "document": error.response.json()}

    async def concurrent():
        async with AsyncInferenceClient(url, token=key) as client:
            return [v[0].tolist() for v in await asyncio.gather(*map(client.feature_extraction, texts))]

    print(json.dumps({
        "one": extract(texts[0]),
        "several": extract(texts),
        "by base_url": extract(texts, InferenceClient(base_url=url, api_key=key)),
        "by path": extract(texts, InferenceClient(f"{url}/embed", token=key)),
        "normalized": extract(texts, normalize=True),
        "too long": extract(long, truncate=False),
        "cut": extract(long, truncate=True),
        "concurrent": asyncio.run(concurrent()),
        "wrong key": extract("a", InferenceClient(url, token="another")),
        "an unknown prompt": extract("a", prompt_name="queries"),
        "a prompt": extract(texts, prompt_name="query"),
    }))
"""


@pytest.fixture(scope="module")
def said(clients: Path, server: Server) -> dict[str, Any]:
    """What the client got."""
    asked = (server.url, server.key, json.dumps(TEXTS), LONG)
    answer: dict[str, Any] = json.loads(run_script(ASK, *asked, python=clients))
    return answer


def test_texts_become_the_vectors_of_the_encoder(said: dict[str, Any], encoder: Encoder) -> None:
    expected = encoder.encode(TEXTS)
    # The artifact's prompt for queries is empty.
    for name in ("several", "by base_url", "by path", "concurrent", "a prompt"):
        np.testing.assert_allclose(said[name], expected, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(said["one"], expected[:1], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(said["normalized"], axis=1), 1, atol=1e-6)


def test_long_texts_are_cut_where_the_client_asks_for_it(said: dict[str, Any], encoder: Encoder) -> None:
    np.testing.assert_allclose(said["cut"], encoder.encode([LONG], truncate="silent"), atol=1e-6)
    assert said["too long"]["status"] == 413
    assert "32" in said["too long"]["document"]["error"]


def test_refusals_are_the_clients_own_errors(said: dict[str, Any]) -> None:
    assert said["wrong key"]["status"] == 401
    assert said["an unknown prompt"]["status"] == 422
    assert "queries" in said["an unknown prompt"]["message"]
