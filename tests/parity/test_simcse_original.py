"""The drop-in class beside the original, call by call, where an environment with the original is at hand.

`benchmarks/versus.py --model bert-base --peers simcse` makes one; `SIMCSE_ORIGINAL` names the Python of another.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simcse_engine import SimCSE
from simcse_export import ExportOptions, export

ROOT = Path(__file__).resolve().parents[2]
QUERIES = ["A man is playing a guitar.", "Rain fell all day.", "Kids play football in a park."]
KEYS = ["Someone makes music.", "It was a wet day.", "The stock market fell.", "Children are playing soccer.", ""]
THRESHOLD = 0.2


@pytest.fixture(scope="module")
def python() -> Path:
    found = Path(os.environ.get("SIMCSE_ORIGINAL", ROOT / ".bench/simcse/bin/python"))
    if not found.is_file():
        pytest.skip("no environment with the original simcse")
    return found


@pytest.fixture(scope="module", params=["cls", "cls_before_pooler"])
def both(
    python: Path, real_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> tuple[dict[str, Any], SimCSE]:
    """What the original returned, and ours on the same checkpoint."""
    given = json.dumps({"queries": QUERIES, "keys": KEYS, "threshold": THRESHOLD})
    command = [python, Path(__file__).with_name("original.py"), real_checkpoint, request.param]
    # Without what this process adds to the path: the original's environment has packages of its own.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, input=given, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    artifact = tmp_path_factory.mktemp("original") / request.param
    export(real_checkpoint, artifact, ExportOptions(pooler=request.param))
    return json.loads(done.stdout.splitlines()[-1]), SimCSE(artifact)


def test_encode_and_similarity(both: tuple[dict[str, Any], SimCSE]) -> None:
    theirs, model = both
    ours = {
        "encode one": model.encode(QUERIES[0], return_numpy=True),
        "encode one, keepdim": model.encode(QUERIES[0], return_numpy=True, keepdim=True),
        "encode many": model.encode(QUERIES, return_numpy=True),
        "similarity one, one": model.similarity(QUERIES[0], KEYS[0]),
        "similarity one, many": model.similarity(QUERIES[0], KEYS),
        "similarity many, one": model.similarity(QUERIES, KEYS[0]),
        "similarity many, many": model.similarity(QUERIES, KEYS),
    }
    for name, found in ours.items():
        assert np.shape(found) == np.shape(theirs[name]), name
        np.testing.assert_allclose(found, theirs[name], rtol=0, atol=2e-6, err_msg=name)


def test_search(both: tuple[dict[str, Any], SimCSE]) -> None:
    theirs, model = both
    model.build_index(KEYS + QUERIES)
    for query, expected in zip(QUERIES, theirs["search"], strict=True):
        found = model.search(query, threshold=THRESHOLD, top_k=3)
        assert [sentence for sentence, _ in found] == [sentence for sentence, _ in expected]
        np.testing.assert_allclose([score for _, score in found], [score for _, score in expected], rtol=0, atol=2e-6)
    model.close()
