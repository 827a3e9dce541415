"""Fixtures: inputs of every kind, their vectors, and a folder of their shards."""

from pathlib import Path

import numpy as np
import pytest

from simcse_engine import Encoder
from support.commands import run
from support.shards import TEXTS, write_inputs


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Files of every kind."""
    return write_inputs(tmp_path / "data")


@pytest.fixture(scope="session")
def expected(artifact: Path) -> np.ndarray:
    """The vectors of each file's texts."""
    with Encoder(artifact) as encoder:
        return encoder.encode(TEXTS)


@pytest.fixture
def output(artifact: Path, data: Path, tmp_path: Path) -> Path:
    """The shards of all files."""
    assert run("encode", artifact, data, "-o", f"{tmp_path}/out/", "--shard-rows", "20") == 0
    return tmp_path / "out"
