"""A cheaper precision is measured beside float32, and published only if it costs little enough."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from simcse_engine import Encoder
from simcse_engine.artifact.manifest import ARTIFACT_FILES
from simcse_engine.artifact.opening import open_artifact
from simcse_engine.cli.main import main
from simcse_engine.errors import InputValueError, ParityError, QualityError, UnsupportedModelError
from simcse_engine.machine.kernels import VARIABLE
from simcse_engine.measure import parity
from simcse_engine.measure.quality import measure
from simcse_engine.measure.sts import read_tasks
from simcse_export import ExportOptions, export
from simcse_export.gate import LEAST_MEAN_COSINE, MAX_QUALITY_DROP, Gate
from simcse_export.int8.quantize import quantize
from simcse_export.texts.corpora import built_in
from support.checkpoints import make_checkpoint
from support.maker import short_calibration

PAIRS = [
    (4.8, "A man plays a guitar.", "A man is playing guitar music."),
    (3.9, "The dog runs.", "A dog is on the run."),
    (3.1, "A woman walks a dog.", "A man walks some cat."),
    (2.2, "The cat sat on the mat.", "The dog sat on someone."),
    (1.3, "Someone plays music.", "The cat is unable."),
    (0.2, "A cat is walking.", "Music and a man."),
]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("gate") / "tiny")


@pytest.fixture(scope="module")
def sts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sts")
    for name, pairs in (("ours", PAIRS), ("theirs", PAIRS[:4])):
        (folder / f"{name}.tsv").write_text("".join(f"{score}\t{a}\t{b}\n" for score, a, b in pairs), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def int8(tmp_path_factory: pytest.TempPathFactory) -> ExportOptions:
    calibration = short_calibration(tmp_path_factory)
    return ExportOptions(pooler="cls", precision="int8", max_tokens=32, calibration=calibration)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


class Fake:
    """An encoder that gives each text a direction of its own, turned aside by ``angle``."""

    def __init__(self, angle: float, length: float = 1.0, kernels: str | None = None) -> None:
        self.angle, self.length, self.kernels = angle, length, kernels

    def encode(self, texts: Sequence[str], *, truncate: str) -> NDArray[np.float32]:
        # Gold scores are reached through it too: text i lies at i degrees, and by so much more turned aside.
        assert truncate == "silent"
        angles = np.radians([float(text) for text in texts]) + self.angle
        return (self.length * np.stack([np.cos(angles), np.sin(angles)], 1)).astype(np.float32)


def judged(gate: Gate, cheap: Fake, exact: Fake) -> dict[str, Any]:
    return dict(gate.measure([cast(Encoder, cheap)], cast(Encoder, exact)))


def test_mean_cosine() -> None:
    texts = [str(i) for i in range(20)]
    # Just within the limit, and just beyond.
    limit = math.acos(LEAST_MEAN_COSINE)
    cost = judged(Gate(texts=texts), Fake(limit * 0.999, length=3), Fake(0))
    assert cost.keys() == {"sentences", "mean_cosine", "min_cosine"}
    assert cost["sentences"] == 20
    assert cost["mean_cosine"] == pytest.approx(math.cos(limit * 0.999), abs=1e-6)
    assert cost["min_cosine"] == pytest.approx(cost["mean_cosine"], abs=1e-6)
    with pytest.raises(QualityError, match=r"mean cosine to float32 is 0\.9950 over 20 .*calibration=.*sts="):
        judged(Gate(texts=texts), Fake(limit * 1.001), Fake(0))


@pytest.mark.parametrize("length", [0.0, float("nan"), float("inf")])
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_vectors_without_a_direction_are_refused(length: float) -> None:
    with pytest.raises(QualityError, match="is nan"):
        judged(Gate(texts=["1", "2"]), Fake(0, length=length), Fake(0))


class Backwards(Fake):
    """The far ones of the tasks' pairs lie near."""

    def encode(self, texts: Sequence[str], *, truncate: str) -> NDArray[np.float32]:
        return super().encode([str(90 - float(text) if float(text) else 0) for text in texts], truncate=truncate)


@pytest.fixture
def tasks(tmp_path: Path) -> list[Any]:
    (tmp_path / "angles.tsv").write_text("5\t0\t10\n4\t0\t30\n2\t0\t50\n1\t0\t80\n")
    return list(read_tasks(tmp_path))


def test_tasks_decide_where_there_are_any(tasks: list[Any]) -> None:
    """Vectors that lie elsewhere, in the same order, cost nothing."""
    cost = judged(Gate(texts=["1", "2"], tasks=tasks), Fake(1.0), Fake(0))
    assert cost["mean_cosine"] == pytest.approx(math.cos(1.0))
    assert cost["average_drop"] == pytest.approx(0)
    assert cost["sts"]["average"] == cost["sts_fp32"]["average"] == pytest.approx(100)
    angles = cost["sts"]["tasks"]["angles"]
    assert (angles["spearman"], angles["pairs"]) == (pytest.approx(100), 4)


def test_a_fall_is_refused(tasks: list[Any]) -> None:
    worse = Backwards(0)
    with pytest.raises(QualityError, match=r"falls by 200\.00 points, from 100\.00 to -100\.00; 0\.2 are allowed"):
        judged(Gate(texts=["1"], tasks=tasks), worse, Fake(0))
    with pytest.raises(QualityError, match=r"199\.9 are allowed \(max_quality_drop\)"):
        judged(Gate(texts=["1"], tasks=tasks, max_quality_drop=199.9), worse, Fake(0))
    cost = judged(Gate(texts=["1"], tasks=tasks, max_quality_drop=200.1), worse, Fake(0))
    assert cost["average_drop"] == pytest.approx(200)
    # To be better than float32 is no fault.
    assert judged(Gate(texts=["1"], tasks=tasks), Fake(0), worse)["average_drop"] == pytest.approx(-200)


def test_the_worst_of_several_ways_counts(tasks: list[Any]) -> None:
    texts = [str(i) for i in range(20)]
    ways = cast(list[Encoder], [Fake(0.02, kernels="avx2"), Fake(0.05)])
    cost = dict(Gate(texts=texts).measure(ways, cast(Encoder, Fake(0))))
    assert cost["mean_cosine"] == pytest.approx(math.cos(0.05), abs=1e-6)
    assert cost["by_kernels"].keys() == {"avx2", "none"}
    assert cost["by_kernels"]["avx2"]["mean_cosine"] == pytest.approx(math.cos(0.02), abs=1e-6)
    for bad in (ways, ways[::-1]):
        with pytest.raises(QualityError, match="mean cosine"):
            Gate(texts=texts).measure([*bad, cast(Encoder, Fake(1, kernels="amx"))], cast(Encoder, Fake(0)))
    mirrored = cast(list[Encoder], [Fake(0, kernels="avx2"), Backwards(0)])
    cost = dict(Gate(texts=texts, tasks=tasks, max_quality_drop=201).measure(mirrored, cast(Encoder, Fake(0))))
    assert cost["average_drop"] == pytest.approx(200)
    assert [each["average_drop"] for each in cost["by_kernels"].values()] == [pytest.approx(0), pytest.approx(200)]


def test_what_it_measures_on(sts: Path) -> None:
    assert Gate.of(None, 0.3) == Gate(texts=built_in("gate"), max_quality_drop=0.3)
    assert [task.name for task in Gate.of(sts, MAX_QUALITY_DROP).tasks] == ["ours", "theirs"]


def test_what_is_published_says_what_it_cost(
    checkpoint: Path, sts: Path, int8: ExportOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    manifest = export(checkpoint, tmp_path / "artifact", replace(int8, sts=sts, max_quality_drop=200), say=lines.append)
    assert [line[:5] for line in lines] == [f"[{i}/6]" for i in range(1, 7)]
    assert names(tmp_path) == {"artifact"}
    assert names(tmp_path / "artifact") == ARTIFACT_FILES
    assert open_artifact(tmp_path / "artifact") == manifest
    quality = manifest.quality
    assert quality is not None
    ways = quality.get("by_kernels", {"none": quality})
    assert set(quality) - {"by_kernels"} == {
        *("calibration", "sentences", "mean_cosine", "min_cosine"),
        *("sts", "sts_fp32", "average_drop"),
    }
    assert quality["calibration"] == "mine.txt"
    assert quality["sentences"] == len(built_in("gate"))
    assert quality["average_drop"] == pytest.approx(quality["sts_fp32"]["average"] - quality["sts"]["average"])
    twin = export(checkpoint, tmp_path / "float32", ExportOptions(pooler="cls", max_tokens=32))
    assert twin.quality is None
    # The worst of the ways in which it runs.
    (worst,) = [name for name, cost in ways.items() if cost["average_drop"] == quality["average_drop"]][:1]
    assert quality["average_drop"] == max(cost["average_drop"] for cost in ways.values())
    for folder, stated in (("artifact", quality["sts"]), ("float32", quality["sts_fp32"])):
        monkeypatch.setenv(VARIABLE, worst if folder == "artifact" else "")
        with Encoder(tmp_path / folder, truncate="silent") as encoder:
            again = measure(read_tasks(sts), encoder.encode).to_json()
        assert again["tasks"].keys() == stated["tasks"].keys() == {"ours", "theirs"}
        assert again["average"] == pytest.approx(stated["average"], abs=1e-6)
        assert again["uniformity"] == pytest.approx(stated["uniformity"], abs=1e-5)
    # Agreement on the gate's sentences is what it says it is.
    monkeypatch.setenv(VARIABLE, worst)
    with Encoder(tmp_path / "artifact") as cheap, Encoder(tmp_path / "float32") as exact:
        ours, theirs = (encoder.encode(built_in("gate"), truncate="silent") for encoder in (cheap, exact))
    cosines = np.sum(ours.astype(np.float64) * theirs, axis=1)
    assert (cosines.mean(), cosines.min()) == pytest.approx((quality["mean_cosine"], quality["min_cosine"]), abs=1e-6)
    assert quality["min_cosine"] < quality["mean_cosine"] < 1 - 1e-6


def forget(layer: object, **_: object) -> dict[str, Any]:
    """Integers that stand for nothing, as those of a bad calibration do."""
    layers = quantize(*layer, **_)  # type: ignore[misc]
    return {name: replace(part, scale=part.scale * 0) for name, part in layers.items()}


def test_a_bad_calibration_is_refused_and_the_old_artifact_stays(
    checkpoint: Path, int8: ExportOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="cls", max_tokens=32))
    monkeypatch.setattr("simcse_export.targets.quantize", lambda *arguments, **options: forget(arguments, **options))
    for target, options in (("artifact", replace(int8, force=True)), ("new", int8)):
        with pytest.raises(QualityError, match="mean cosine to float32 is"):
            export(checkpoint, tmp_path / target, options)
        assert names(tmp_path) == {"artifact"}
    assert open_artifact(tmp_path / "artifact") == old
    assert names(tmp_path / "artifact") == ARTIFACT_FILES


def test_too_much_is_refused_and_the_old_artifact_stays(
    checkpoint: Path, sts: Path, int8: ExportOptions, tmp_path: Path
) -> None:
    old = export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="cls", max_tokens=32))
    with pytest.raises(QualityError, match=r"average Spearman falls by .*; -200 are allowed"):
        export(checkpoint, tmp_path / "artifact", replace(int8, sts=sts, max_quality_drop=-200, force=True))
    assert names(tmp_path) == {"artifact"}
    assert open_artifact(tmp_path / "artifact") == old


def test_odd_texts_have_a_limit_too(
    checkpoint: Path, int8: ExportOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(parity.LIMITS, "int8", parity.Limit(max_abs_difference=1e-6, min_cosine=0.5, max_norm_error=1))
    with pytest.raises(ParityError, match=r"max abs difference \S+ > 1e-06 \(int8\)$"):
        export(checkpoint, tmp_path / "artifact", int8)
    assert names(tmp_path) == set()


def test_the_folder_of_tasks_is_read_before_the_checkpoint(int8: ExportOptions, tmp_path: Path) -> None:
    with pytest.raises(InputValueError, match=r"nowhere: no such file or folder"):
        export(tmp_path / "no checkpoint", tmp_path / "artifact", replace(int8, sts=tmp_path / "nowhere"))


@pytest.mark.parametrize(
    "config", [{"model_type": "electra"}, {"hidden_act": "mish"}], ids=["electra", "bert with mish"]
)
def test_models_of_optimum_are_refused_before_the_work(
    int8: ExportOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: dict[str, Any]
) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", **config)
    monkeypatch.setattr("simcse_export.checkpoint.model.load_weights", lambda _: pytest.fail("began to work"))
    lines: list[str] = []
    with pytest.raises(
        UnsupportedModelError, match=r"int8 for cpu is for BERT, DistilBERT, RoBERTa, .* and MPNet, whose"
    ):
        export(checkpoint, tmp_path / "artifact", int8, say=lines.append)
    assert len(lines) == 1
    assert names(tmp_path) == {"checkpoint"}


def test_float32_is_scored_and_not_judged(checkpoint: Path, sts: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    options = ExportOptions(pooler="cls", sts=sts, max_quality_drop=-200)
    export(checkpoint, tmp_path / "artifact", options, say=lines.append)
    assert [line[:5] for line in lines] == [f"[{i}/5]" for i in range(1, 6)]
    manifest = open_artifact(tmp_path / "artifact")
    assert manifest.quality is not None
    assert manifest.quality.keys() == {"sts"}
    with Encoder(tmp_path / "artifact", truncate="silent") as encoder:
        assert manifest.quality["sts"] == measure(read_tasks(sts), encoder.encode).to_json()
    assert main(["info", str(tmp_path / "artifact")]) == 0


def test_without_tasks_float32_has_no_quality(checkpoint: Path, tmp_path: Path) -> None:
    assert export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="avg")).quality is None


def test_calibration_is_not_for_float32() -> None:
    with pytest.raises(InputValueError, match="fp32 has none"):
        ExportOptions(calibration=Path("mine.txt"))
