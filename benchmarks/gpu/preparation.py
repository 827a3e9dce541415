"""What a run needs, made beforehand on any machine, so that no second of a GPU is spent on exporting.

    FOLDER/about.json      for which kind of device, and the sentences' source
    FOLDER/sentences.json  real sentences, in a random order
    FOLDER/sts/            STS tasks, where there are any
    FOLDER/MODEL/checkpoint/   in float16, as transformers and sentence-transformers read it
    FOLDER/MODEL/ours/         our artifact
    FOLDER/MODEL/spellings/    the same graph otherwise spelled, an artifact each
    FOLDER/MODEL/reference.npz vectors of the first sentences in float32 on a CPU, and what they score on STS

BERT-base has random weights here, and all its layers the same ones, so that the folder packs small. They lie at places
of their own in a GPU's memory, and speed does not depend on what a model knows.
"""

import hashlib
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcse_engine import Encoder
from simcse_engine.artifact.manifest import Manifest
from simcse_engine.measure.quality import measure
from simcse_engine.measure.sts import read_tasks

from .. import tether
from ..contest.peers.models import sentence_folder
from ..inputs import BERT_BASE, MAX_TOKENS, Model, sentences

_ABOUT, _SENTENCES, _STS = "about.json", "sentences.json", "sts"
_WEIGHTS = "model.safetensors"
# What is exported: the checkpoint alone, while a folder is made.
_PLAIN = "plain"
_CHECKPOINT_FILES = ("config.json", _WEIGHTS, "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
# Rows of BERT-base's embedding of words that differ.
_DISTINCT_WORDS = 1024
# Encoded in float32 on a CPU.
_REFERENCES = {"bert-base": 200}
_MOST_REFERENCES = 2_000


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What float32 on a CPU gives.

    Attributes:
        vectors: float32 [sentences, dimension] of the first sentences.
        spearman: the average of the STS tasks; None without them.
    """

    vectors: NDArray[np.float32]
    spearman: float | None


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A model's part of a folder that `prepare` has made.

    Attributes:
        pooler: of the vectors, "avg" or "cls".
        sentences: real ones.
        source: where they are from.
        checkpoint: for the peers.
        ours: our artifact.
        spellings: the same graph otherwise spelled, by their names.
        sts: a folder of tasks; None without them, or for a model that knows nothing.
    """

    model: str
    pooler: str
    sentences: list[str]
    source: str
    checkpoint: Path
    ours: Path
    spellings: Mapping[str, Path]
    sts: Path | None

    def reference(self) -> Reference:
        with np.load(self.ours.with_name("reference.npz")) as kept:
            spearman = float(kept["spearman"])
            return Reference(vectors=kept["vectors"], spearman=None if np.isnan(spearman) else spearman)


def lacking(folder: Path, models: Sequence[str], device: str) -> list[str]:
    """What a folder has not that a run on this device needs, a line each."""
    about = folder / _ABOUT
    if not about.is_file():
        command = f"python -m benchmarks.gpu --prepare --prepared {folder}"
        return [f"{folder}: nothing is prepared there; {command}, on any machine"]
    prepared, kind = json.loads(about.read_text(encoding="utf-8")), device.partition(":")[0]
    if prepared["device"] != kind:
        return [f"{folder} was prepared for {prepared['device']}, and this is {kind}; add --device to --prepare"]
    return [
        f"{folder} has no {name}; prepare it again with all models"
        for name in models
        if name not in prepared["poolers"]
    ]


def load(folder: Path, model: str) -> Prepared:
    """A model's part of a folder that lacks nothing."""
    about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
    home = folder / model
    spellings = {path.name: path for path in sorted((home / "spellings").glob("*"))}
    sts = folder / _STS
    return Prepared(
        model=model,
        pooler=about["poolers"][model],
        sentences=json.loads((folder / _SENTENCES).read_text(encoding="utf-8")),
        source=about["sentences"],
        checkpoint=home / "checkpoint",
        ours=home / "ours",
        spellings=spellings,
        sts=sts if sts.is_dir() and model != BERT_BASE.name else None,
    )


def prepare(folder: Path, models: Sequence[Model], *, device: str, sts: Path | None) -> None:
    """Make a folder anew; SystemExit where it holds anything else.

    For a GPU our artifact is float16 in the layout for CUDA; for "cpu", to try the run, float32.
    """
    if folder.exists() and not (folder / _SENTENCES).is_file() and any(folder.iterdir()):
        raise SystemExit(f"{folder} holds something else; name another folder with --prepared")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    texts = sentences()
    (folder / _SENTENCES).write_text(json.dumps(texts.texts), encoding="utf-8")
    if sts is not None:
        shutil.copytree(sts, folder / _STS)
    kind = device.partition(":")[0]
    for model in models:
        home = folder / model.name
        _write_checkpoint(model, home / "checkpoint")
        # Without sentence-transformers' modules: their head would follow the checkpoint's own.
        plain = [path.name for path in model.checkpoint().iterdir() if path.name in _CHECKPOINT_FILES]
        (home / _PLAIN).mkdir()
        for name in plain:
            (home / _PLAIN / name).hardlink_to(home / "checkpoint" / name)
        export(model, home, "ours", "fp16" if kind == "cuda" else "fp32", kind)
        if kind == "cuda":
            _write_spellings(model, home)
        _write_reference(model, home, texts.texts, sts if model is not BERT_BASE else None)
        shutil.rmtree(home / _PLAIN)
    about: dict[str, Any] = {
        "device": kind,
        "sentences": texts.source,
        "poolers": {model.name: model.pooler for model in models},
    }
    size = _link_equal_files(folder)
    # The last: its presence means that the folder is whole.
    (folder / _ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    print(f"{folder}: {size / 1e6:,.0f} MB for {kind}", flush=True)


def export(model: Model, home: Path, name: str, precision: str, target: str) -> Path:
    """Our artifact of the prepared checkpoint."""
    options = ["--pooler", model.pooler, "--precision", precision, "--target", target]
    command = [Path(sys.executable).with_name("simcse-export"), home / _PLAIN, "-o", home / name, *options]
    tether.run([*command, "--max-tokens", str(MAX_TOKENS), "--force"]).check_returncode()
    return home / name


def _write_checkpoint(model: Model, folder: Path) -> None:
    from safetensors.numpy import load_file, save_file

    shutil.copytree(sentence_folder(model), folder)
    for path in folder.rglob(_WEIGHTS):
        weights = load_file(path)
        if model is BERT_BASE:
            weights = _repeated(weights)
        halves = {name: each.astype(np.float16) if each.dtype == np.float32 else each for name, each in weights.items()}
        save_file(halves, path, metadata={"format": "pt"})


def _repeated(weights: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The first layer's weights in every layer, and few distinct words."""
    repeated = {}
    for name, each in weights.items():
        before, layer, after = name.partition("encoder.layer.")
        first = f"{before}{layer}0.{after.partition('.')[2]}" if layer else name
        each = weights[first]
        if name.endswith("word_embeddings.weight"):
            each = np.resize(each[:_DISTINCT_WORDS], each.shape)
        repeated[name] = each.copy()
    return repeated


@dataclass(frozen=True, kw_only=True)
class _InPreparation(Model):
    """A model whose artifact is the one that was just exported."""

    home: Path

    def artifact(self, precision: str = "fp32", target: str = "cpu", *, layout: str | None = None) -> Path:  # noqa: ARG002
        """Ours."""
        return self.home / "ours"


def _write_spellings(model: Model, home: Path) -> None:
    from ..choices.cuda_spellings import CUDA_SPELLINGS, export_spelling

    spelled = _InPreparation(
        name=model.name,
        checkpoint=lambda: home / _PLAIN,
        pooler=model.pooler,
        round_sentences=model.round_sentences,
        home=home,
    )
    (home / "spellings").mkdir()
    for name in CUDA_SPELLINGS:
        print(f"spelling {name}", flush=True)
        export_spelling(name, spelled, home / "spellings" / name)


def _link_equal_files(folder: Path) -> int:
    """Make one file of those with the same content, since spellings share weights; the bytes of all that differ."""
    kept: dict[str, Path] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest in kept:
            path.unlink()
            path.hardlink_to(kept[digest])
        kept.setdefault(digest, path)
    return sum(path.stat().st_size for path in kept.values())


def _write_reference(model: Model, home: Path, texts: list[str], sts: Path | None) -> None:
    exact = home / "ours"
    if Manifest.read(exact).target != "cpu":
        exact = export(model, home, "exact", "fp32", "cpu")
    with Encoder(exact, device="cpu", truncate="silent") as encoder:
        vectors = encoder.encode(texts[: _REFERENCES.get(model.name, _MOST_REFERENCES)])
        spearman = np.nan if sts is None else measure(read_tasks(sts), encoder.encode).average
    np.savez(home / "reference.npz", vectors=vectors, spearman=spearman)
    shutil.rmtree(home / "exact", ignore_errors=True)
