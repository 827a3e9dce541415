"""Requests that schemathesis makes up from our own document: the server answers as the document says."""

import json
from pathlib import Path

import pytest

from simcse_engine import Encoder, Index
from support.child import run_script
from support.environments import environment
from support.servers import serving

# All but that one are made: errors of the server, statuses, content types, headers and bodies that the document does
# not know, wrong requests that are not refused, methods, keys. A schema cannot say all that a right request needs: as
# many keys as texts, fields that can be filtered on, texts within the model's tokens, integers without a point.
NOT_CHECKED = "positive_data_acceptance"

# It leaves its reports in the folder where it runs.
RUN = """
    import os, sys
    from schemathesis.cli import schemathesis

    os.chdir(sys.argv.pop(1))
    schemathesis()
"""


@pytest.fixture(scope="module")
def schemathesis() -> Path:
    """The Python of an environment with schemathesis."""
    return environment("schemathesis", "schemathesis==4.32.5")


def test_the_server_keeps_to_its_document(artifact: Path, schemathesis: Path, tmp_path: Path) -> None:
    with Encoder(artifact) as encoder, Index.create(tmp_path / "index", encoder) as index:
        index.add(["A man plays a guitar.", "一个男人在弹吉他。"], metadata=[{"n": 1}, None])
    with serving(artifact, "--index", tmp_path / "index", key="a secret") as server:
        options = {
            "--header": f"Authorization: Bearer {server.key}",
            "--exclude-checks": NOT_CHECKED,
            "--max-examples": "20",
            "--seed": "1",
            "--generation-database": "none",
        }
        said = run_script(
            RUN,
            tmp_path,
            "run",
            f"{server.url}/openapi.json",
            *(word for option in options.items() for word in option),
            python=schemathesis,
            seconds=300,
        )
        paths = server.ask("GET", "/openapi.json").document["paths"]
        # The document itself it does not ask for again.
        assert f"Tested: {sum(map(len, paths.values())) - 1}\n" in said
        assert server.ask("POST", "/embed", {"inputs": "a"}).status == 200
        events = [json.loads(line) for line in server.said().splitlines()[1:]]
    assert [event for event in events if event["level"] != "info"] == []
