"""The real checkpoint, as SimCSE's training leaves it and as it is converted, is one model."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from simcse_engine import Encoder
from simcse_engine.measure.parity import load_check
from simcse_export import ExportOptions, export

TEXTS = [
    *(
        "A man plays a guitar.",
        "Someone makes music on a small stage.",
        "",
        "a",
        "一个男人在弹吉他。",
        "Größere Übungen.",
    ),
    *(" ".join(["the river ran high that spring"] * n) for n in range(1, 20)),
]


@pytest.fixture(scope="module")
def raw_artifact(real_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifact of the same weights under the names that SimCSE's training gives them."""
    folder = tmp_path_factory.mktemp("raw")
    checkpoint = folder / "checkpoint"
    shutil.copytree(real_checkpoint, checkpoint, ignore=shutil.ignore_patterns("model.safetensors"))
    checkpoint.chmod(0o755)
    weights = load_file(real_checkpoint / "model.safetensors")
    # As training saves them: the encoder under its own prefix, the trained head beside it.
    renamed = {f"bert.{name}": tensor for name, tensor in weights.items() if not name.startswith("pooler.")}
    renamed |= {f"mlp.dense.{part}": weights[f"pooler.dense.{part}"] for part in ("weight", "bias")}
    save_file(renamed, checkpoint / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((checkpoint / "config.json").read_bytes())
    (checkpoint / "config.json").unlink()
    (checkpoint / "config.json").write_text(json.dumps({**config, "architectures": ["BertForCL"]}))
    export(checkpoint, folder / "artifact", ExportOptions(pooler="cls"))
    return folder / "artifact"


@pytest.fixture(scope="module")
def both(real_artifact: Path, raw_artifact: Path) -> Iterator[tuple[Encoder, Encoder]]:
    with Encoder(real_artifact, truncate="silent") as converted, Encoder(raw_artifact, truncate="silent") as raw:
        yield converted, raw


def test_same_model(both: tuple[Encoder, Encoder]) -> None:
    converted, raw = both
    assert raw.manifest.model == converted.manifest.model
    assert raw.manifest.identity == converted.manifest.identity
    assert raw.manifest.source.digest == converted.manifest.source.digest


def test_same_vectors(both: tuple[Encoder, Encoder]) -> None:
    converted, raw = both
    np.testing.assert_allclose(raw.encode(TEXTS), converted.encode(TEXTS), rtol=0, atol=2e-6)


def test_same_reference(real_artifact: Path, raw_artifact: Path) -> None:
    # transformers, which computed these, read the raw form as it should.
    texts, vectors = load_check(real_artifact)
    raw_texts, raw_vectors = load_check(raw_artifact)
    assert raw_texts == texts
    np.testing.assert_allclose(raw_vectors, vectors, rtol=0, atol=2e-6)


def test_a_sentence_in_any_batch(both: tuple[Encoder, Encoder]) -> None:
    converted, _ = both
    alone = np.concatenate([converted.encode([text]) for text in TEXTS])
    for texts in (TEXTS, TEXTS * 20):
        times = len(texts) // len(TEXTS)
        np.testing.assert_allclose(converted.encode(texts), np.tile(alone, (times, 1)), rtol=0, atol=1e-6)


def test_measured_parity(both: tuple[Encoder, Encoder]) -> None:
    for encoder in both:
        stated = encoder.manifest.parity
        assert stated is not None
        assert encoder.manifest.verified is True
        assert 0 < stated["max_abs_difference"] <= 2e-6
        assert stated["min_cosine"] >= 0.999999
