"""bf16 artifacts: how weights are rounded, what is published, and vectors near float32's."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from simcse_engine import Encoder
from simcse_engine.artifact.kinds import POOLERS
from simcse_engine.artifact.manifest import WEIGHTS
from simcse_engine.artifact.opening import open_artifact
from simcse_engine.errors import CheckpointError, InputValueError
from simcse_engine.measure import parity
from simcse_export import ExportOptions, export
from simcse_export.graph.dialects.bf16 import rounded
from support.checkpoints import edit_weights, make_checkpoint
from support.forward import TEXTS, forward
from support.maker import Maker

Make = Callable[..., Path]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """The artifact of a small model, made once: ``make(family, pooler, precision)``; beside it its checkpoint."""
    maker = Maker(tmp_path_factory)

    def make(family: str, pooler: str, precision: str = "bf16") -> Path:
        return maker.artifact(family, ExportOptions(pooler=pooler, precision=precision))

    return make


def test_rounding_is_torchs() -> None:
    random = np.random.default_rng(0)
    bits = random.integers(0, 2**32, 100_000, dtype=np.uint32)
    # Halfway between two values, and a bit beside that: to the even one.
    bits[:30_000] = bits[:30_000] & 0xFFFF0000 | random.choice(np.array([0x7FFF, 0x8000, 0x8001], np.uint32), 30_000)
    values = bits.view(np.float32)
    values = values[np.abs(values) < 3.3e38].reshape(-1)  # no NaN, no infinity
    values = np.concatenate([values, np.array([0.0, -0.0, 1e-45, -1e-45, 1.0, 3.3e38], np.float32)])
    expected = torch.from_numpy(values).to(torch.bfloat16).view(torch.int16).numpy().view(np.uint16)
    np.testing.assert_array_equal(rounded("weight", values), expected)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, -np.nan, 3.4e38])
def test_what_is_no_finite_value_is_refused(value: float) -> None:
    with pytest.raises(CheckpointError, match=r"^some.weight: values that are no finite bfloat16"):
        rounded("some.weight", np.array([[1, value]], np.float32))


def test_a_checkpoint_beyond_bfloat16(tmp_path: Path) -> None:
    # Of a token that no check text has, so that transformers' own vectors are finite.
    def edit(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        state["embeddings.word_embeddings.weight"][-1, 0] = 3.4e38
        return state

    checkpoint = edit_weights(make_checkpoint(tmp_path / "checkpoint"), edit)
    with pytest.raises(
        CheckpointError, match=r"^embeddings\.word_embeddings\.weight: values that are no finite bfloat16"
    ):
        export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="avg", precision="bf16"))
    assert not (tmp_path / "artifact").exists()


@pytest.mark.parametrize("pooler", POOLERS)
@pytest.mark.parametrize("family", ["bert", "roberta", "mpnet"])
def test_what_is_published(make: Make, family: str, pooler: str) -> None:
    manifest, twin = open_artifact(make(family, pooler)), open_artifact(make(family, pooler, "fp32"))
    assert (manifest.precision, manifest.target, manifest.layout) == ("bf16", "cpu", "ragged")
    assert (manifest.verified, manifest.model == twin.model, manifest.identity == twin.identity) == (True, True, False)
    # It is judged as int8 is, and has nothing to calibrate.
    assert manifest.quality is not None
    assert manifest.quality.keys() - {"by_kernels"} == {"sentences", "mean_cosine", "min_cosine"}
    assert manifest.quality["mean_cosine"] >= 0.9999


@pytest.mark.parametrize("pooler", ["cls", "avg"])
def test_vectors_are_near_those_of_transformers(make: Make, pooler: str) -> None:
    expected = forward(make("bert", pooler).parent / "checkpoint", pooler)
    with Encoder(make("bert", pooler), truncate="silent") as encoder:
        agreement = parity.compare(encoder.encode(TEXTS), expected)
    assert agreement.min_cosine > 0.999
    assert agreement.max_abs_difference > 1e-5  # and not those of float32


def test_it_is_smaller(make: Make) -> None:
    small, large = ((make("bert", "avg", precision) / WEIGHTS).stat().st_size for precision in ("bf16", "fp32"))
    assert small < 0.6 * large


def test_which_targets_and_options_it_has(tmp_path: Path) -> None:
    for target in ("cuda", "tensorrt"):
        with pytest.raises(InputValueError, match=f"precision 'bf16' is unknown for target {target}"):
            ExportOptions(precision="bf16", target=target)
    with pytest.raises(InputValueError, match="chooses int8's numbers; bf16 has none to choose"):
        ExportOptions(precision="bf16", calibration=tmp_path)
