"""What the tests of adapters share: an artifact with prompts, its encoder, and texts."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from simcse_engine import Encoder
from simcse_export import ExportOptions, export
from support.checkpoints import edit_json, make_sentence_transformers, write_json

PROMPTS = {"query": "someone is walking: ", "document": "the cat: ", "STS": "a man: ", "Classification-query": "dog "}


@pytest.fixture(scope="package")
def prompted_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of sentence-transformers' with prompts for queries, for documents, and for tasks of MTEB's."""
    folder = make_sentence_transformers(tmp_path_factory.mktemp("prompted") / "checkpoint")
    edit_json(folder / "1_Pooling/config.json", word_embedding_dimension=32)
    write_json(folder / "config_sentence_transformers.json", {"prompts": PROMPTS, "default_prompt_name": None})
    return folder


@pytest.fixture(scope="package")
def prompted(prompted_checkpoint: Path) -> Path:
    """Its artifact."""
    folder = prompted_checkpoint.parent / "artifact"
    export(prompted_checkpoint, folder, ExportOptions())
    return folder


@pytest.fixture(scope="package")
def encoder(prompted: Path) -> Iterator[Encoder]:
    """The artifact's encoder."""
    with Encoder(prompted) as encoder:
        yield encoder


@pytest.fixture(scope="module")
def moved(prompted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the artifact, where a database finds it and another may be put."""
    return Path(shutil.copytree(prompted, tmp_path_factory.mktemp("moved") / "artifact"))
