"""Graphs of the usual inputs: transformers' vectors, whatever the padding is and wherever it lies."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from simcse_engine.artifact.kinds import POOLERS
from simcse_engine.artifact.manifest import ARTIFACT_FILES, GRAPH, PADDED_FILES, TOKENIZER
from simcse_engine.artifact.opening import open_artifact
from simcse_engine.errors import UnsupportedModelError
from simcse_engine.tokenizer import Tokenizer
from simcse_export import ExportOptions, export
from simcse_export.checkpoint.architecture import ACTIVATIONS
from support.checkpoints import make_checkpoint
from support.forward import TEXTS, assert_equal, encoded, forward
from support.maker import Maker, short_calibration

PADDED = ExportOptions(layout="padded")

Make = Callable[..., Path]
Run = Callable[[list[list[int]], list[list[int]]], NDArray[np.float32]]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """The artifact of a small model, made once: ``make(family, pooler, precision)``; beside it its checkpoint."""
    maker = Maker(tmp_path_factory)
    calibration = short_calibration(tmp_path_factory)

    def make(family: str, pooler: str, precision: str = "fp32") -> Path:
        options = replace(PADDED, pooler=pooler, precision=precision)
        return maker.artifact(family, replace(options, calibration=calibration) if precision == "int8" else options)

    return make


@pytest.mark.parametrize(
    ("family", "pooler"),
    [*itertools.product(("bert", "roberta"), POOLERS), ("mpnet", "cls"), ("mpnet", "avg"), ("distilbert", "avg")],
)
def test_vectors_are_those_of_transformers(make: Make, family: str, pooler: str) -> None:
    artifact = make(family, pooler)
    manifest = open_artifact(artifact)
    assert (manifest.layout, manifest.precision, manifest.target, manifest.format) == ("padded", "fp32", "cpu", 4)
    assert manifest.verified
    assert {path.name for path in artifact.iterdir()} == ARTIFACT_FILES | PADDED_FILES
    assert manifest.files.keys() == (ARTIFACT_FILES | PADDED_FILES) - {"manifest.json"}
    assert_equal(artifact, forward(artifact.parent / "checkpoint", pooler))


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_every_activation(tmp_path: Path, activation: str) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", hidden_act=activation)
    export(checkpoint, tmp_path / "artifact", replace(PADDED, pooler="avg"))
    assert_equal(tmp_path / "artifact", forward(checkpoint, "avg"))


@pytest.mark.parametrize("precision", ["int8", "bf16"])
@pytest.mark.parametrize(("family", "pooler"), [("bert", "avg_first_last"), ("roberta", "cls"), ("mpnet", "avg")])
def test_cheaper_precisions_are_near(make: Make, family: str, pooler: str, precision: str) -> None:
    artifact = make(family, pooler, precision)
    expected = forward(artifact.parent / "checkpoint", pooler)
    for vectors in encoded(artifact):
        cosines = (vectors * expected).sum(1)
        assert cosines.mean() > 0.995
        assert cosines.min() > 0.97
        assert cosines.min() < 1 - 1e-6
    quality = open_artifact(artifact).quality
    assert quality is not None
    assert quality["mean_cosine"] >= 0.995


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
@pytest.mark.parametrize(("family", "pooler"), [("bert", "avg_first_last"), ("roberta", "cls"), ("mpnet", "avg")])
def test_what_a_program_sees_of_the_graph(make: Make, family: str, pooler: str, precision: str) -> None:
    model = onnx.load(make(family, pooler, precision) / GRAPH)
    onnx.checker.check_model(model)
    inputs = {
        each.name: tuple(axis.dim_param for axis in each.type.tensor_type.shape.dim) for each in model.graph.input
    }
    assert inputs == dict.fromkeys(("input_ids", "attention_mask"), ("sentences", "longest"))
    assert {each.type.tensor_type.elem_type for each in model.graph.input} == {onnx.TensorProto.INT64}
    assert [each.name for each in model.graph.output] == ["sentence_embedding"]
    # No functions, no branches, and of another domain than ONNX's at most one operator.
    assert not model.functions
    foreign = {node.op_type for node in model.graph.node if node.domain}
    assert foreign == ({"MatMulIntegerToFloat"} if precision == "int8" else set())
    assert "If" not in {node.op_type for node in model.graph.node}
    read = {name for node in model.graph.node for name in node.input}
    assert {tensor.name for tensor in model.graph.initializer} <= read


def test_the_specification_s_own_evaluator_gives_the_same_vectors(make: Make) -> None:
    artifact = make("roberta", "avg")
    evaluator = ReferenceEvaluator(str(artifact / GRAPH))
    ids = tokenized(artifact, TEXTS[5:8])
    longest = max(map(len, ids))
    rows = [padded(row, longest, left=False, fill=1) for row in ids]
    feed = {"input_ids": np.array([row for row, _ in rows]), "attention_mask": np.array([mask for _, mask in rows])}
    expected = forward(artifact.parent / "checkpoint", "avg", TEXTS[5:8])
    np.testing.assert_allclose(evaluator.run(None, feed)[0], expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("left", [False, True], ids=["right", "left"])
@pytest.mark.parametrize("fill", [0, 1, 7])
@pytest.mark.parametrize("pooler", ["cls", "avg_top2", "max", "weightedmean", "lasttoken"])
@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_padding_of_any_kind_changes_no_vector(make: Make, family: str, pooler: str, fill: int, left: bool) -> None:
    artifact = make(family, pooler)
    texts = ["<pad><pad> the <pad> cat <pad>", "a", "[PAD][PAD] the cat [PAD]"]
    expected = forward(artifact.parent / "checkpoint", pooler, texts)
    run = runner(artifact)
    ids = tokenized(artifact, texts)
    # Also wider than the model has positions.
    for longest in (max(map(len, ids)), 60, 150):
        rows = [padded(row, longest, left=left, fill=fill) for row in ids]
        vectors = run([row for row, _ in rows], [mask for _, mask in rows])
        np.testing.assert_allclose(vectors, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ("family", "pooler", "precision"),
    [
        *(("bert", pooler, "fp32") for pooler in POOLERS),
        *(("roberta", "cls", precision) for precision in ("fp32", "int8")),
        *(("mpnet", "avg", precision) for precision in ("fp32", "int8")),
    ],
)
def test_a_row_of_padding_alone_disturbs_no_other(make: Make, family: str, pooler: str, precision: str) -> None:
    artifact = make(family, pooler, precision)
    (ids,) = tokenized(artifact, ["the cat sat"])
    run = runner(artifact)
    alone = run([ids], [[1] * len(ids)])
    vectors = run([[0] * len(ids), ids], [[0] * len(ids), [1] * len(ids)])
    assert np.isfinite(vectors).all()
    np.testing.assert_allclose(vectors[1:], alone, rtol=0, atol=2e-6)


def test_no_longer_texts_than_the_artifact_has(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", model_type="roberta")
    manifest = export(checkpoint, tmp_path / "artifact", replace(PADDED, pooler="avg", max_tokens=16))
    assert manifest.max_tokens == 16
    assert_equal(tmp_path / "artifact", forward(checkpoint, "avg", max_tokens=16))


def test_what_is_not_written_here_is_refused(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", hidden_act="mish")
    with pytest.raises(UnsupportedModelError, match=r"fp32 for cpu, padded.*export this model .*without layout"):
        export(checkpoint, tmp_path / "artifact", replace(PADDED, pooler="avg"))


def tokenized(artifact: Path, texts: list[str]) -> list[list[int]]:
    return Tokenizer(artifact / TOKENIZER, 64).encode(texts).ids


def padded(ids: list[int], longest: int, *, left: bool, fill: int) -> tuple[list[int], list[int]]:
    """A row of ``longest`` ids, and its mask."""
    padding = longest - len(ids)
    row, mask = [fill] * padding, [0] * padding
    return (row + ids, mask + [1] * len(ids)) if left else (ids + row, [1] * len(ids) + mask)


def runner(artifact: Path) -> Run:
    """A program that knows nothing of artifacts, with the runtime's own settings."""
    session = onnxruntime.InferenceSession(artifact / GRAPH, providers=["CPUExecutionProvider"])

    def run(ids: list[list[int]], masks: list[list[int]]) -> NDArray[np.float32]:
        feed = {"input_ids": np.array(ids), "attention_mask": np.array(masks)}
        vectors: NDArray[np.float32] = session.run(["sentence_embedding"], feed)[0]
        return vectors

    return run
