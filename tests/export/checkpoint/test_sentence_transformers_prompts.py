"""Texts behind prompts have the vectors that the library's last two major releases give them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simcse_engine import Encoder
from simcse_engine.artifact.manifest import Manifest
from simcse_engine.errors import UnsupportedModelError
from simcse_engine.forms import VectorForm
from simcse_engine.measure.ways import both_ways
from simcse_export import ExportOptions, export
from support.checkpoints import make_checkpoint, make_sentence_transformers, write_json
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


# Pooling leaves the prompt's tokens out.
LEFT_OUT = [
    f"bert {mode} left out plain"
    for mode in ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
]


@pytest.mark.parametrize(
    "name",
    [*(f"{family} {kind}" for family in ("bert", "roberta") for kind in ("plain", "documents", "none")), *LEFT_OUT],
)
def test_the_vectors_are_the_librarys(saved: Saved, name: str, tmp_path: Path) -> None:
    kind = name.split()[-1]
    manifest = export(saved.folders / name, tmp_path / "artifact")
    assert {"prompts": manifest.prompts, "default_prompt_name": manifest.default_prompt_name} == saved.facts[name]
    assert manifest.include_prompt == (name not in LEFT_OUT)
    assert manifest.format == (3 if kind == "none" else 4)
    with np.load(saved.vectors / f"{name}.npz") as vectors, Encoder(tmp_path / "artifact") as encoder:
        assert {"encode", "encode_query", "named query", "named document", "a prompt"} <= {*vectors}
        for way, expected in vectors.items():
            method, options = WAYS[way]
            made = getattr(encoder, method)(TEXTS, truncate="silent", **options)
            np.testing.assert_allclose(made, expected, atol=2e-6, err_msg=way)
        if kind != "none":
            assert np.abs(vectors["encode_query"] - vectors["encode_document"]).max() > 0.01


def test_bits_are_the_librarys(saved: Saved, artifact: Path) -> None:
    with np.load(saved.vectors / "bits.npz") as bits:
        for dtype in ("binary", "ubinary"):
            made = VectorForm.of(Manifest.read(artifact), dtype=dtype).apply(bits["numbers"])
            assert made.dtype == bits[dtype].dtype
            np.testing.assert_array_equal(made, bits[dtype])


@pytest.mark.parametrize("pooler", ["cls_before_pooler", "weightedmean"])
def test_every_precision_leaves_a_prompt_out(tmp_path: Path, pooler: str) -> None:
    folder = make_sentence_transformers(tmp_path / "folder", num_hidden_layers=1)
    write_json(folder / "1_Pooling/config.json", {"pooling_mode": "mean", "include_prompt": False})
    export(folder, tmp_path / "exact", ExportOptions(pooler=pooler))
    with Encoder(tmp_path / "exact") as exact:
        expected = exact.encode(TEXTS, prompt="a cat: ", truncate="silent")
        assert np.abs(expected - exact.encode(TEXTS, truncate="silent")).max() > 0.01
    for precision in ("bf16", "int8"):
        export(folder, tmp_path / precision, ExportOptions(pooler=pooler, precision=precision))
        with both_ways(lambda precision=precision: Encoder(tmp_path / precision)) as encoders:
            for encoder in encoders:
                cosines = (encoder.encode(TEXTS, prompt="a cat: ", truncate="silent") * expected).sum(1)
                assert cosines.min() > 0.99


@pytest.mark.parametrize(
    "options", [{"target": "cuda"}, {"target": "tensorrt"}, {"layout": "padded"}], ids=lambda each: next(iter(each))
)
def test_no_other_graph_leaves_a_prompt_out(tmp_path: Path, options: dict[str, Any]) -> None:
    folder = make_sentence_transformers(tmp_path / "folder", num_hidden_layers=1)
    write_json(folder / "1_Pooling/config.json", {"pooling_mode": "mean", "include_prompt": False})
    with pytest.raises(UnsupportedModelError, match=r"include_prompt is false.*target='cpu'"):
        export(folder, tmp_path / "artifact", ExportOptions(**options))


@pytest.mark.transformers_4
def test_through_optimum_a_prompt_is_left_out(tmp_path: Path) -> None:
    folder = make_sentence_transformers(tmp_path / "folder", num_hidden_layers=1, model_type="electra")
    write_json(folder / "1_Pooling/config.json", {"pooling_mode": "mean", "include_prompt": False})
    # It compares texts behind a prompt, too.
    manifest = export(folder, tmp_path / "artifact")
    assert (manifest.architecture["graph"], manifest.include_prompt) == ("optimum", False)
