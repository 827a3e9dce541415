"""Texts behind prompts have the vectors that the library's last two major releases give them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simcse_engine import Encoder
from simcse_export import export
from support.checkpoints import make_checkpoint
from support.child import run_script
from support.environments import overlay

from .test_sentence_transformers_releases import QUIET, RELEASES

SCRIPT = Path(__file__).with_name("prompted_by_library.py")
TEXTS = ["", " ", "a man", " the mat \n", "A man plays a guitar.", "the cat sat on the mat and " * 10, "\n\tthe dog"]
# Each way to call the library, and an encoder.
WAYS: dict[str, tuple[str, dict[str, str]]] = {
    "encode": ("encode", {}),
    "encode_query": ("encode_query", {}),
    "encode_document": ("encode_document", {}),
    **{f"named {name}": ("encode", {"prompt_name": name}) for name in ("query", "document", "passage", "empty")},
    "a query behind another": ("encode_query", {"prompt_name": "passage"}),
    "a document behind another": ("encode_document", {"prompt_name": "query"}),
    "a prompt": ("encode", {"prompt": "some one: "}),
    "a prompt of spaces": ("encode", {"prompt": "  "}),
    "no prompt": ("encode", {"prompt": ""}),
    "a query without a prompt": ("encode_query", {"prompt": ""}),
    "a prompt and a name": ("encode", {"prompt": "some one: ", "prompt_name": "query"}),
    "a prompt beyond the longest text": ("encode", {"prompt": "the cat sat on the mat and " * 10}),
}


@dataclass(frozen=True)
class Saved:
    """What a release saved, and how it has each folder's prompts."""

    folders: Path
    vectors: Path
    facts: dict[str, dict[str, Any]]


@pytest.fixture(scope="module", params=RELEASES)
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    root = tmp_path_factory.mktemp("prompted")
    checkpoints = make_checkpoint(root / "bert"), make_checkpoint(root / "roberta", model_type="roberta")
    folders, vectors = root / "folders", root / "vectors"
    for folder in (folders, vectors):
        folder.mkdir()
    arguments = [*checkpoints, folders, vectors, json.dumps(TEXTS), json.dumps(WAYS)]
    path = str(overlay(*RELEASES[request.param]))
    facts = json.loads(run_script(SCRIPT.read_text(), *arguments, seconds=600, PYTHONPATH=path, **QUIET))
    return Saved(folders, vectors, facts)


@pytest.mark.parametrize("kind", ["plain", "documents", "none"])
@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_the_vectors_are_the_librarys(saved: Saved, family: str, kind: str, tmp_path: Path) -> None:
    name = f"{family} {kind}"
    manifest = export(saved.folders / name, tmp_path / "artifact")
    assert {"prompts": manifest.prompts, "default_prompt_name": manifest.default_prompt_name} == saved.facts[name]
    assert manifest.format == (3 if kind == "none" else 4)
    with np.load(saved.vectors / f"{name}.npz") as vectors, Encoder(tmp_path / "artifact") as encoder:
        assert {"encode", "encode_query", "named query", "named document", "a prompt"} <= {*vectors}
        for way, expected in vectors.items():
            method, options = WAYS[way]
            made = getattr(encoder, method)(TEXTS, truncate="silent", **options)
            np.testing.assert_allclose(made, expected, atol=2e-6, err_msg=way)
        if kind != "none":
            assert np.abs(vectors["encode_query"] - vectors["encode_document"]).max() > 0.01
