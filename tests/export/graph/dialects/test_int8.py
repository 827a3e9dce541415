"""int8 artifacts: what lies in them, and vectors that depend on nothing but the text."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto
from onnx.inliner import inline_local_functions

from simcse_engine import Encoder
from simcse_engine.artifact.kinds import POOLERS
from simcse_engine.artifact.manifest import ARTIFACT_FILES, GRAPH, WEIGHTS, Manifest
from simcse_engine.artifact.opening import open_artifact
from simcse_engine.measure import parity
from simcse_engine.measure.ways import both_ways
from simcse_export import ExportOptions, export
from simcse_export.checkpoint.architecture import ACTIVATIONS
from simcse_export.texts.corpora import built_in
from support.checkpoints import make_checkpoint
from support.forward import TEXTS, forward
from support.maker import Maker, short_calibration

LAYERS = 3
# Family, pooler.
KINDS = [(family, pooler) for family in ("bert", "roberta") for pooler in POOLERS]
KINDS += [("mpnet", "cls"), ("mpnet", "avg"), ("distilbert", "avg")]
FIRST_ONLY = ("cls", "cls_before_pooler")

Make = Callable[..., Path]


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> ExportOptions:
    return ExportOptions(precision="int8", calibration=short_calibration(tmp_path_factory))


@pytest.fixture(scope="module")
def make(options: ExportOptions, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """The artifact of a small model, made once: ``make(family, pooler, precision)``; beside it its checkpoint."""
    maker = Maker(tmp_path_factory)

    def make(family: str, pooler: str, precision: str = "int8") -> Path:
        return maker.artifact(
            family, replace(options, pooler=pooler) if precision == "int8" else ExportOptions(pooler=pooler)
        )

    return make


@pytest.fixture(params=KINDS, ids="-".join)
def kind(request: pytest.FixtureRequest) -> tuple[str, str]:
    family_and_pooler: tuple[str, str] = request.param
    return family_and_pooler


def test_what_is_published(make: Make, kind: tuple[str, str]) -> None:
    folder = make(*kind)
    assert {path.name for path in folder.iterdir()} == ARTIFACT_FILES
    manifest, twin = open_artifact(folder), open_artifact(make(*kind, "fp32"))
    assert (manifest.precision, manifest.layout, manifest.verified) == ("int8", "even", True)
    assert manifest.quality is not None
    assert manifest.quality.keys() - {"by_kernels"} == {"calibration", "sentences", "mean_cosine", "min_cosine"}
    assert manifest.quality["mean_cosine"] >= 0.995
    assert manifest.parity is not None
    assert manifest.parity["vectors"] == 76
    # One model, other vectors.
    assert manifest.model == twin.model
    assert manifest.identity != twin.identity
    same = ("source", "architecture", "pooler", "normalized", "target", "dimension", "max_tokens", "versions")
    assert all(getattr(manifest, name) == getattr(twin, name) for name in same)
    assert (twin.precision, twin.layout, twin.quality) == ("fp32", "ragged", None)
    assert parity.load_check(folder)[0] == parity.load_check(make(*kind, "fp32"))[0]


def test_vectors_are_near_those_of_transformers(make: Make, kind: tuple[str, str]) -> None:
    _, pooler = kind
    expected = forward(make(*kind).parent / "checkpoint", pooler)
    with both_ways(lambda: Encoder(make(*kind), truncate="silent")) as encoders:
        agreement = parity.worst([parity.compare(encoder.encode(TEXTS), expected) for encoder in encoders])
        again = parity.worst([parity.verify(encoder, make(*kind)) for encoder in encoders])
    assert agreement.mean_cosine > 0.995
    assert agreement.min_cosine > 0.97
    assert agreement.max_norm_error < 1e-5
    # And not those of float32.
    assert agreement.max_abs_difference > 1e-4
    assert again.to_json() == pytest.approx(dict(open_artifact(make(*kind)).parity or {}), abs=1e-6)


def test_what_is_in_the_graph(make: Make, kind: tuple[str, str]) -> None:
    family, pooler = kind
    biases = ["encoder.attention_bias"] if family == "mpnet" else []
    graph = inline_local_functions(onnx.load(str(make(*kind) / GRAPH))).graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    # One path, whatever the lengths: a branch would bring a mask's kernel along.
    assert "If" not in {node.op_type for node in graph.node}
    kept = 0
    if pooler in FIRST_ONLY:
        kept = 2
    if pooler == "cls":
        kept = 3
    floats = [node for node in graph.node if node.op_type in ("MatMul", "Gemm", "FusedGemm")]
    last = f"encoder.layer.{LAYERS - 1}"
    allowed = [f"{last}.attention.output.dense.weight", f"{last}.output.dense.weight", "pooler.dense.weight"][:kept]
    assert [node.input[1] for node in floats] == allowed
    # The products of attention alone are of activations by activations.
    products = [node for node in graph.node if node.op_type == "FusedMatMul"]
    assert len(products) == 2 * LAYERS
    assert not any(name in weights for node in products for name in node.input)
    linear = [node for node in graph.node if node.op_type == "MatMulIntegerToFloat"]
    assert len(linear) == 6 * LAYERS - min(kept, 2)
    for node in linear:
        assert weights[node.input[1]].data_type == TensorProto.INT8
        assert weights[node.input[4]].data_type == TensorProto.UINT8
        # Constants, not ranges of what is in the run.
        assert all(name in weights for name in node.input[1:] if name)
    assert not {"DynamicQuantizeLinear", "DynamicQuantizeMatMul"} & {node.op_type for node in graph.node}
    gathered = [node.input[0] for node in graph.node if node.op_type == "Gather"]
    tables = [weights[name] for name in gathered if name in weights and name not in biases]
    assert {tensor.data_type for tensor in tables if not tensor.name.endswith(".scale")} == {TensorProto.INT8}
    assert {"embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight"} <= {t.name for t in tables}
    wide = [
        t.name for t in graph.initializer if t.data_type == TensorProto.FLOAT and len(t.dims) == 2 and t.dims[1] > 1
    ]
    assert sorted(wide) == sorted([*allowed, *biases])


def test_every_weight_can_be_summed_in_16_bits(make: Make) -> None:
    graph = inline_local_functions(onnx.load(str(make("bert", "avg") / GRAPH))).graph
    names = {node.input[1] for node in graph.node if node.op_type == "MatMulIntegerToFloat"}
    for tensor in graph.initializer:
        if tensor.name in names:
            weight = onnx.numpy_helper.to_array(tensor).astype(int)  # [in, out]
            for part in (weight.clip(min=0), -weight.clip(max=0)):
                assert (part[0::2] + part[1::2]).max() <= 128


def test_it_is_smaller(make: Make) -> None:
    # The linear layers and tables are nearly all of it; scales and biases weigh much in a model as small as this.
    small, large = ((make("bert", "avg", precision) / WEIGHTS).stat().st_size for precision in ("int8", "fp32"))
    assert small < 0.45 * large


@pytest.mark.parametrize("pooler", ["cls", "avg"])
def test_the_same_artifact_every_time(make: Make, options: ExportOptions, tmp_path: Path, pooler: str) -> None:
    first = Manifest.read(make("bert", pooler))
    again = export(make("bert", pooler).parent / "checkpoint", tmp_path / "artifact", replace(options, pooler=pooler))
    assert again.identity == first.identity
    assert again.files[GRAPH] == first.files[GRAPH]
    assert again.files[WEIGHTS] == first.files[WEIGHTS]


def test_other_calibration_makes_other_vectors(make: Make, options: ExportOptions, tmp_path: Path) -> None:
    path = tmp_path / "other.txt"
    path.write_text("\n".join(built_in("calibration")[1::8]), encoding="utf-8")
    first = Manifest.read(make("bert", "avg"))
    again = export(
        make("bert", "avg").parent / "checkpoint",
        tmp_path / "artifact",
        replace(options, pooler="avg", calibration=path),
    )
    assert again.identity != first.identity
    assert again.model == first.model
    assert again.quality is not None
    assert again.quality["calibration"] == "other.txt"


@pytest.fixture(
    scope="module",
    params=[("bert", "cls"), ("bert", "avg"), ("roberta", "avg_first_last"), ("mpnet", "avg")],
    ids="-".join,
)
def alone(request: pytest.FixtureRequest, make: Make) -> tuple[Path, NDArray[np.float32]]:
    """An artifact, and the vectors of `TEXTS`, each encoded by itself on one thread."""
    folder = make(*request.param)
    with Encoder(folder, truncate="silent", threads=1) as encoder:
        return folder, np.concatenate([encoder.encode([text]) for text in TEXTS])


def batches() -> Iterator[NDArray[np.int64]]:
    """Places in `TEXTS`, in orders and numbers of many kinds."""
    random = np.random.default_rng(0)
    count = len(TEXTS)
    yield np.arange(count)
    yield np.arange(count)[::-1]
    for size in (2, 3, 5, 33, 200, 900):
        yield random.integers(0, count, size)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_sentence_in_any_batch(alone: tuple[Path, NDArray[np.float32]], threads: int) -> None:
    folder, vectors = alone
    # Rounded activations next to a boundary would make any difference a great one: none is allowed.
    with Encoder(folder, truncate="silent", threads=threads) as encoder:
        for places in batches():
            texts = [TEXTS[place] for place in places]
            np.testing.assert_array_equal(encoder.encode(texts), vectors[places])
            streamed = np.concatenate(list(encoder.stream(iter(texts))))
            np.testing.assert_array_equal(streamed, vectors[places])


def test_distinct_sentences_of_one_length_in_any_batch(make: Make) -> None:
    words = ["cat", "dog", "man", "mat", "run", "walk", "music", "guitar"]
    texts = [f"the {a} is on {b}" + " a" * n for n in range(3) for a in words for b in words]
    with Encoder(make("bert", "avg")) as encoder:
        together = encoder.encode(texts)
        order = np.random.default_rng(1).permutation(len(texts))
        np.testing.assert_array_equal(encoder.encode([texts[i] for i in order]), together[order])
        for i in range(0, len(texts), 7):
            np.testing.assert_array_equal(encoder.encode([texts[i]])[0], together[i])
    assert len(np.unique(together, axis=0)) == len(texts)


def test_without_the_norm_vectors_keep_their_length(make: Make, options: ExportOptions, tmp_path: Path) -> None:
    checkpoint = make("bert", "avg").parent / "checkpoint"
    export(checkpoint, tmp_path / "artifact", replace(options, pooler="avg", normalize=False))
    expected = forward(checkpoint, "avg", normalize=False)
    with Encoder(tmp_path / "artifact", truncate="silent") as encoder:
        agreement = parity.compare(encoder.encode(TEXTS), expected)
    assert np.abs(np.linalg.norm(expected, axis=1) - 1).min() > 0.1
    assert 1e-6 < agreement.max_norm_error < 0.05
    assert agreement.mean_cosine > 0.995


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_every_activation(options: ExportOptions, tmp_path: Path, activation: str) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", hidden_act=activation, num_hidden_layers=2)
    manifest = export(checkpoint, tmp_path / "artifact", replace(options, pooler="avg", max_tokens=32))
    assert manifest.parity is not None
    assert manifest.parity["mean_cosine"] > 0.99


@pytest.mark.parametrize("layers", [1, 2])
def test_few_layers(options: ExportOptions, tmp_path: Path, layers: int) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", num_hidden_layers=layers)
    export(checkpoint, tmp_path / "artifact", replace(options, pooler="cls", max_tokens=32))
    open_artifact(tmp_path / "artifact")


def test_the_built_in_sentences(make: Make, options: ExportOptions, tmp_path: Path) -> None:
    checkpoint = make("bert", "cls").parent / "checkpoint"
    manifest = export(
        checkpoint, tmp_path / "artifact", replace(options, pooler="cls", calibration=None, max_tokens=32)
    )
    assert manifest.quality is not None
    assert manifest.quality["calibration"] == "built-in"
    assert manifest.quality["sentences"] == len(built_in("gate"))
