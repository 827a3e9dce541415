"""An artifact is published whole, checked, and over nothing but an artifact; or nothing changes."""

import gc
import shutil
import weakref
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import simcse_export
from simcse_engine import Encoder
from simcse_engine.artifact.manifest import GRAPH, WEIGHTS, Manifest
from simcse_engine.artifact.opening import open_artifact
from simcse_engine.errors import CheckpointError, OutputError, ParityError
from simcse_engine.measure import parity
from simcse_export import ExportOptions, export
from simcse_export.checkpoint.architecture import Weights
from simcse_export.checkpoint.model import Model
from simcse_export.checkpoint.weights import load_weights
from simcse_export.float32 import run_reference
from support.checkpoints import make_checkpoint, make_sentence_transformers
from support.disks import fill, small_disk
from support.forward import forward

AVG = ExportOptions(pooler="avg")
FORCE = replace(AVG, force=True)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("pipeline") / "tiny")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("pipeline") / "other", seed=1)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_is_published(checkpoint: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    manifest = export(checkpoint, tmp_path / "deep/er/artifact", AVG, say=lines.append)
    folder = tmp_path / "deep/er/artifact"
    assert names(folder) == {"manifest.json", "model.onnx", "model.onnx.data", "tokenizer.json", "check.npz"}
    assert open_artifact(folder) == manifest
    assert [line[:5] for line in lines] == ["[1/4]", "[2/4]", "[3/4]", "[4/4]"]
    assert (manifest.precision, manifest.target, manifest.dimension, manifest.max_tokens) == ("fp32", "cpu", 32, 64)
    assert manifest.normalized
    assert manifest.verified is True
    assert {"torch", "transformers", "onnx", "tokenizers"} <= manifest.versions.keys()


def test_every_step_is_announced(checkpoint: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    export(checkpoint, tmp_path / "artifact", replace(AVG, target="tensorrt", precision="fp16"), say=lines.append)
    assert lines == [
        f"[1/6] reading {checkpoint}",
        "[2/6] writing the graph: pooler avg, at most 64 tokens",
        "[3/6] running the reference model",
        "[4/6] comparing the artifact with it",
        "[5/6] writing the fp16 graph for tensorrt",
        "[6/6] measuring what fp16 for tensorrt costs",
    ]


def test_the_weights_are_let_go_before_the_reference_runs(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays: list[weakref.ref[Any]] = []
    ran = []

    def load_and_watch(folder: Path) -> Weights:
        weights = load_weights(folder)
        arrays.extend(weakref.ref(array) for array in weights.values())
        return weights

    def run_and_look(model: Model, folder: Path) -> Mapping[str, float]:
        gc.collect()
        ran.append([array() for array in arrays])
        return run_reference(model, folder)

    monkeypatch.setattr("simcse_export.checkpoint.model.load_weights", load_and_watch)
    monkeypatch.setattr("simcse_export.pipeline.run_reference", run_and_look)
    export(checkpoint, tmp_path / "artifact", AVG)
    assert arrays
    assert ran == [[None] * len(arrays)]


def test_the_check_texts_are_many_and_come_with_transformers_vectors(checkpoint: Path, tmp_path: Path) -> None:
    manifest = export(checkpoint, tmp_path / "artifact", AVG)
    texts, vectors = parity.load_check(tmp_path / "artifact")
    np.testing.assert_allclose(vectors, forward(checkpoint, "avg", texts), rtol=0, atol=1e-6)
    assert 30 <= len(texts) <= 50
    assert "" in texts
    assert any(not text.isascii() for text in texts)
    assert manifest.parity is not None
    assert manifest.parity["max_abs_difference"] <= 2e-6
    assert manifest.parity["min_cosine"] >= 0.999999
    with Encoder(tmp_path / "artifact") as encoder:
        lengths = {len(ids) for ids in encoder._tokenizer.encode(texts).ids}
        cut = encoder._tokenizer.encode(texts).cut
        again = parity.verify(encoder, tmp_path / "artifact")
    assert {2, 3, 63, 64} <= lengths
    assert cut
    assert again.to_json() == pytest.approx(manifest.parity, abs=1e-6)


def test_an_artifact_is_replaced_only_with_force(checkpoint: Path, other: Path, tmp_path: Path) -> None:
    first = export(checkpoint, tmp_path / "artifact", AVG)
    with pytest.raises(OutputError, match=r"exists already.*force=True"):
        export(other, tmp_path / "artifact", AVG)
    assert open_artifact(tmp_path / "artifact") == first
    second = export(other, tmp_path / "artifact", FORCE)
    assert open_artifact(tmp_path / "artifact") == second
    assert first.identity != second.identity
    assert names(tmp_path) == {"artifact"}


def test_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "artifact").mkdir()
    (tmp_path / "artifact/manifest.json").touch()
    lines: list[str] = []
    with pytest.raises(OutputError):
        export(tmp_path / "nowhere", tmp_path / "artifact", AVG, say=lines.append)
    assert lines == []


def test_a_damaged_artifact_can_be_replaced(checkpoint: Path, tmp_path: Path) -> None:
    export(checkpoint, tmp_path / "artifact", AVG)
    (tmp_path / "artifact" / WEIGHTS).unlink()
    (tmp_path / "artifact/manifest.json").write_text("{")
    export(checkpoint, tmp_path / "artifact", FORCE)
    open_artifact(tmp_path / "artifact")


@pytest.mark.parametrize("force", [False, True])
def test_an_empty_folder_is_filled(checkpoint: Path, tmp_path: Path, force: bool) -> None:
    (tmp_path / "artifact").mkdir()
    export(checkpoint, tmp_path / "artifact", replace(AVG, force=force))
    open_artifact(tmp_path / "artifact")


def test_force_never_deletes_what_is_no_artifact(tmp_path: Path) -> None:
    home = tmp_path / "home"
    checkpoint = make_checkpoint(home / "checkpoint")
    (home / "letters.txt").write_text("dear")
    web = home / "web"
    web.mkdir()
    (web / "manifest.json").write_text('{"name": "an app, whose manifest has the same file name"}')
    shutil.copytree(web, home / "app")
    (home / "app/app.js").touch()
    before = sorted(home.rglob("*"))
    for folder in (home, checkpoint, web, home / "app"):
        with pytest.raises(OutputError, match=r"folder of other things .*force=True replaces artifacts only"):
            export(checkpoint, folder, FORCE)
    assert sorted(home.rglob("*")) == before


@pytest.mark.parametrize("force", [False, True])
def test_a_file_is_never_replaced(checkpoint: Path, tmp_path: Path, force: bool) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="exists and is not a folder"):
        export(checkpoint, tmp_path / "file", replace(AVG, force=force))
    with pytest.raises(OutputError):
        export(checkpoint, tmp_path / "file/artifact", replace(AVG, force=force))
    assert (tmp_path / "file").read_text() == "mine"


def test_a_relative_path_and_a_link(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    export(checkpoint, "artifact", AVG)
    (tmp_path / "link").symlink_to("artifact")
    manifest = export(checkpoint, "link", ExportOptions(pooler="avg_top2", force=True))
    assert (tmp_path / "link").is_symlink()
    assert open_artifact(tmp_path / "artifact") == manifest


@pytest.mark.transformers_4
def test_a_model_that_padding_leaks_into_fails_parity(checkpoint: Path, tmp_path: Path) -> None:
    # ConvBERT's convolutions look at padding, mask or not: alone and among longer texts its vectors differ.
    leaky = make_checkpoint(tmp_path / "checkpoint", model_type="convbert")
    old = export(checkpoint, tmp_path / "artifact", AVG)
    with pytest.raises(ParityError, match=r"max abs difference 0\.\d+ > 2e-06, cosine 0\.\d+ < 0\.999999"):
        export(leaky, tmp_path / "artifact", FORCE)
    assert names(tmp_path) == {"checkpoint", "artifact"}
    assert open_artifact(tmp_path / "artifact") == old


def test_parity_that_is_not_met_says_by_how_much(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(parity.LIMITS, "fp32", parity.Limit(max_abs_difference=1e-12, min_cosine=0.5, max_norm_error=1))
    with pytest.raises(ParityError, match=r"max abs difference \d\S*e-0[78] > 1e-12 \(fp32\)$"):
        export(checkpoint, tmp_path / "artifact", AVG)
    assert names(tmp_path) == set()


def test_a_changed_weight_is_found(checkpoint: Path, tmp_path: Path) -> None:
    """What `verify` compares with is the reference model, not the artifact itself."""
    export(checkpoint, tmp_path / "artifact", AVG)
    path = tmp_path / "artifact" / WEIGHTS
    floats = np.fromfile(path, np.float32)
    floats[:] *= 1.01
    floats.tofile(path)
    manifest = Manifest.read(tmp_path / "artifact")
    facts = {name: getattr(manifest, name) for name in manifest.__dataclass_fields__ if name != "files"}
    Manifest.describe(tmp_path / "artifact", **facts).write(tmp_path / "artifact")
    with Encoder(tmp_path / "artifact") as encoder, pytest.raises(ParityError):
        parity.verify(encoder, tmp_path / "artifact")


# How much room there is for the new artifact, of the size of the old one: at different files it runs out.
@pytest.mark.parametrize("room", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("model_type", ["bert", pytest.param("electra", marks=pytest.mark.transformers_4)])
def test_a_full_disk_leaves_the_old_artifact(tmp_path: Path, model_type: str, room: float) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", model_type=model_type)
    with small_disk(tmp_path / "disk", 4 << 20):
        artifact = tmp_path / "disk/artifact"
        old = export(checkpoint, artifact, AVG)
        size = sum(path.stat().st_size for path in artifact.iterdir())
        fill(tmp_path / "disk/filler", leave=int(room * size))
        with pytest.raises(OutputError, match="the disk is full; nothing there was changed"):
            export(checkpoint, artifact, replace(FORCE, pooler="avg_top2"))
        assert names(tmp_path / "disk") == {"artifact", "filler"}
        assert open_artifact(artifact) == old
        (tmp_path / "disk/filler").unlink()
        assert export(checkpoint, artifact, replace(FORCE, pooler="avg_top2")).identity != old.identity


def test_a_folder_that_cannot_be_written(checkpoint: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot be written|exists and is not"):
        export(checkpoint, "/proc/artifact", AVG)


def test_a_failing_checkpoint_leaves_nothing(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint")
    (checkpoint / "tokenizer.json").write_text("{")
    with pytest.raises(CheckpointError):
        export(checkpoint, tmp_path / "deep/artifact", AVG)
    assert names(tmp_path) == {"checkpoint"}


def test_defaults_come_from_the_checkpoint(tmp_path: Path) -> None:
    manifest = export(make_sentence_transformers(tmp_path / "checkpoint"), tmp_path / "artifact")
    assert (manifest.pooler, manifest.max_tokens) == ("avg", 48)


def test_the_graph_lies_apart_from_its_weights(checkpoint: Path, tmp_path: Path) -> None:
    export(checkpoint, tmp_path / "artifact", AVG)
    floats = sum(tensor.numel() for tensor in torch.load(_bin(tmp_path), weights_only=True).values())
    assert (tmp_path / "artifact" / WEIGHTS).stat().st_size > 0.8 * 4 * floats
    assert (tmp_path / "artifact" / GRAPH).stat().st_size < 100_000


def _bin(folder: Path) -> Path:
    return make_checkpoint(folder / "bin", weights="pytorch_model.bin", head=False) / "pytorch_model.bin"


def test_the_packages_names() -> None:
    assert set(simcse_export.__all__) == {"ExportOptions", "export", "push_to_hub"}
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = simcse_export.nonsense
