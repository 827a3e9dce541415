"""int8 of the real checkpoint: near float32 on every sentence, and hardly worse at ranking pairs of them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from conftest import SHARED
from simcse_engine import Encoder
from simcse_engine.artifact.manifest import Manifest
from simcse_engine.artifact.opening import open_artifact
from simcse_engine.cli.main import main
from simcse_engine.measure.parity import Parity, compare
from simcse_engine.measure.quality import Quality, measure
from simcse_engine.measure.sts import read_tasks
from simcse_export import ExportOptions, export

STS = SHARED / "sts"


class Both(NamedTuple):
    """What int8 and float32 give: Spearman and the rest, and how near the vectors are."""

    int8: Quality
    fp32: Quality
    agreement: Parity


@pytest.fixture(scope="module")
def int8(real_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artifact") / "simcse-minilm-l6-int8"
    export(real_checkpoint, folder, ExportOptions(pooler="cls", precision="int8"))
    return folder


@pytest.fixture(scope="module")
def both(int8: Path, real_artifact: Path) -> Both:
    if not STS.is_dir():
        pytest.skip(f"no STS pairs at {STS}")
    tasks = read_tasks(STS)
    vectors: list[NDArray[np.float32]] = []

    def score(folder: Path) -> Quality:
        with Encoder(folder, truncate="silent") as encoder:

            def encode(texts: list[str]) -> NDArray[np.float32]:
                vectors.append(encoder.encode(texts))
                return vectors[-1]

            return measure(tasks, encode)

    qualities = score(int8), score(real_artifact)
    return Both(*qualities, compare(*vectors))


def test_what_is_published(int8: Path, real_artifact: Path) -> None:
    manifest, twin = open_artifact(int8), Manifest.read(real_artifact)
    assert manifest.model == twin.model
    assert manifest.identity != twin.identity
    size, whole = (sum(entry.size_bytes for entry in m.files.values()) for m in (manifest, twin))
    assert size < 0.3 * whole
    assert manifest.quality is not None
    assert manifest.quality["mean_cosine"] >= 0.9985
    assert manifest.quality["min_cosine"] >= 0.985


def test_it_verifies(int8: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(int8)]) == 0
    assert "(limit 0.97)" in capsys.readouterr().out


def test_vectors_are_near_those_of_float32(both: Both) -> None:
    assert both.agreement.vectors > 5000
    assert both.agreement.mean_cosine >= 0.9985
    assert both.agreement.min_cosine >= 0.985
    # And not the same file twice.
    assert both.agreement.mean_cosine < 1 - 1e-5


def test_spearman(both: Both) -> None:
    assert both.fp32.average > 60
    assert both.fp32.average - both.int8.average <= 0.1
    for name, task in both.int8.tasks.items():
        assert both.fp32.tasks[name].spearman - task.spearman <= 0.2, name


def test_alignment_and_uniformity(both: Both) -> None:
    assert both.int8.alignment == pytest.approx(both.fp32.alignment, abs=0.02)
    assert both.int8.uniformity == pytest.approx(both.fp32.uniformity, abs=0.05)


def test_a_sentence_in_any_batch(int8: Path) -> None:
    texts = [" ".join(["the river ran high that spring"] * n) for n in range(1, 20)]
    texts += ["A man plays a guitar.", "Someone makes music.", "", "a", "一个男人在弹吉他。", "Größere Übungen."]
    order = np.random.default_rng(0).integers(0, len(texts), 300)
    with Encoder(int8, threads=1) as one, Encoder(int8, threads=2) as two:
        alone = np.concatenate([one.encode([text]) for text in texts])
        for encoder in (one, two):
            np.testing.assert_array_equal(encoder.encode(texts), alone)
            np.testing.assert_array_equal(encoder.encode([texts[i] for i in order]), alone[order])
