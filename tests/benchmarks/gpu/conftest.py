"""A folder prepared for a run on a CPU, of a small model in MiniLM's place."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.gpu.field import TRIAL, Field
from benchmarks.inputs import MODELS, Model

from benchmarks.gpu import preparation
from support.checkpoints import make_checkpoint


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    """A small model with pooler cls, named as MiniLM."""
    folder = make_checkpoint(tmp_path_factory.mktemp("gpu") / "checkpoint", max_position_embeddings=256)
    with pytest.MonkeyPatch.context() as patch:
        model = Model(name="minilm", checkpoint=lambda: folder, pooler="cls", round_sentences=10)
        patch.setitem(MODELS, "minilm", model)
        patch.setattr("benchmarks.contest.peers.models.BENCH", tmp_path_factory.mktemp("bench"))
        patch.setattr("benchmarks.contest.peers.models.ROOT", Path("/"))
        patch.setattr("benchmarks.gpu.preparation._MOST_REFERENCES", 30)
        yield model


@pytest.fixture(scope="session")
def prepared(small: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `--prepare --device cpu` makes."""
    folder = tmp_path_factory.mktemp("prepared") / "gpu"
    preparation.prepare(folder, [small], device="cpu", sts=None)
    return folder


@pytest.fixture
def field(prepared: Path) -> Iterator[Field]:
    field = Field(preparation.load(prepared, "minilm"), "cpu", TRIAL)
    yield field
    field.close()
