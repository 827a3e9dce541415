"""The graphs for ONNX Runtime's CUDA provider: what is in them, and on a CPU all but their fused attention."""

import shutil
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from simcse_engine import Encoder
from simcse_engine.artifact.kinds import POOLERS as KNOWN
from simcse_engine.artifact.manifest import GRAPH, WEIGHTS
from simcse_engine.artifact.opening import open_artifact
from simcse_engine.errors import ProviderError, UnsupportedModelError, UnverifiedWarning
from simcse_engine.measure import parity
from simcse_engine.session.cpu import CpuSession
from simcse_engine.session.cuda import cuda_graphs
from simcse_engine.session.cuda import session as cuda
from simcse_engine.session.cuda.buckets import GRAPH_TOKENS
from simcse_engine.session.feeds import Size, packed
from simcse_export import ExportOptions, export
from simcse_export.checkpoint.architecture import Architecture
from simcse_export.checkpoint.checkpoint import open_checkpoint
from simcse_export.checkpoint.weights import load_weights
from simcse_export.graph.bert import author
from simcse_export.graph.dialects.cuda import Cuda, CudaOnCpu, folded
from support.checkpoints import edit_weights, make_checkpoint
from support.cuda_kernels import ON_CUDA, types
from support.forward import TEXTS, forward
from support.host_runtime import HostRuntime
from support.maker import Maker

POOLERS = [pooler for pooler in KNOWN if pooler not in ("max", "weightedmean")]
KINDS = [(family, pooler) for family in ("bert", "roberta") for pooler in POOLERS]
KINDS += [("mpnet", "cls"), ("mpnet", "avg"), ("distilbert", "avg")]
_WIDE = 3e5
Make = Callable[..., Path]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """A small model's artifact for CUDA, made once: ``make(family, pooler, precision)``; beside it its checkpoint."""
    maker = Maker(tmp_path_factory)

    def make(family: str, pooler: str, precision: str = "fp16", target: str = "cuda") -> Path:
        return maker.artifact(family, ExportOptions(pooler=pooler, precision=precision, target=target))

    return make


@pytest.fixture(scope="module")
def on_cpu(make: Make, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., CpuSession]:
    """The same graph with attention that a CPU can run."""

    def open_twin(family: str, pooler: str, precision: str = "fp16") -> CpuSession:
        checkpoint = open_checkpoint(make(family, pooler, precision).parent / "checkpoint")
        numbers = Architecture.of(checkpoint.config)
        assert numbers is not None
        weights = folded(numbers, load_weights(checkpoint.folder))
        model = author(numbers, weights, CudaOnCpu(precision), pooler=pooler, normalize=True)
        folder = tmp_path_factory.mktemp("twin")
        onnx.save_model(model, folder / GRAPH, save_as_external_data=True, location=WEIGHTS)
        padding_id = numbers.padding_id if family in ("roberta", "mpnet") else None
        return CpuSession(folder, layout="packed", padding_id=padding_id)

    return open_twin


@pytest.mark.parametrize("precision", ["fp16", "fp32"])
@pytest.mark.parametrize(("family", "pooler"), KINDS)
def test_every_node_has_a_kernel_on_the_gpu(make: Make, family: str, pooler: str, precision: str) -> None:
    model = onnx.load(make(family, pooler, precision) / GRAPH, load_external_data=False)
    dtypes = types(model)
    for node in model.graph.node:
        assert dtypes[node.input[0]] in ON_CUDA[node.domain, node.op_type], node
    assert dtypes[model.graph.output[0].name] == TensorProto.FLOAT
    # Products, which take the time, are in the precision of the options.
    products = {dtypes[node.input[0]] for node in model.graph.node if node.op_type == "MatMul"}
    assert products == {TensorProto.FLOAT16 if precision == "fp16" else TensorProto.FLOAT}


@pytest.mark.parametrize("pooler", ["max", "weightedmean"])
def test_a_pooler_that_needs_the_grid_is_refused(tmp_path: Path, pooler: str) -> None:
    options = ExportOptions(pooler=pooler, precision="fp16", target="cuda")
    with pytest.raises(UnsupportedModelError, match=f"pooler {pooler} looks at tokens one by one.*choose one of cpu, "):
        export(make_checkpoint(tmp_path / "checkpoint"), tmp_path / "artifact", options)
    assert not (tmp_path / "artifact").exists()


@pytest.mark.parametrize("pooler", POOLERS)
def test_nothing_is_computed_for_tokens_that_nobody_reads(make: Make, pooler: str) -> None:
    nodes = onnx.load(make("bert", pooler) / GRAPH, load_external_data=False).graph.node
    gathered = [node for node in nodes if node.op_type == "Gather" and "layer.2" in node.name]
    assert len(gathered) == (2 if pooler.startswith("cls") else 0)


def test_states_are_averaged_in_their_own_type(make: Make) -> None:
    nodes = onnx.load(make("bert", "avg") / GRAPH, load_external_data=False).graph.node
    # The vectors alone become float32.
    assert [node.name for node in nodes if node.op_type == "Cast"] == ["pooler/Cast"]


@pytest.mark.parametrize(("family", "pooler"), KINDS)
def test_what_is_published(make: Make, family: str, pooler: str) -> None:
    manifest = open_artifact(make(family, pooler))
    assert (manifest.target, manifest.precision, manifest.layout) == ("cuda", "fp16", "packed")
    assert manifest.padding_id == (1 if family in ("roberta", "mpnet") else None)
    # Measured on a CPU, which says nothing about a GPU.
    assert manifest.verified is None
    assert manifest.parity is not None
    assert manifest.parity["min_cosine"] > 0.9999
    assert manifest.quality is not None
    assert manifest.quality["min_cosine"] > 0.9999


@pytest.mark.parametrize(("precision", "within"), [("fp32", 2e-6), ("fp16", 5e-3)])
@pytest.mark.parametrize(("family", "pooler"), KINDS)
def test_vectors_are_those_of_transformers(
    make: Make, on_cpu: Callable[..., CpuSession], family: str, pooler: str, precision: str, within: float
) -> None:
    session = on_cpu(family, pooler, precision)
    with Encoder(make(family, pooler, "fp32", "cpu"), truncate="silent") as encoder:
        ids = encoder._tokenizer.encode(TEXTS).ids
    lengths = np.array([len(each) for each in ids])
    vectors = session.run(np.concatenate([np.array(each) for each in ids]), lengths)
    expected = forward(make(family, pooler, precision).parent / "checkpoint", pooler)
    assert np.abs(vectors - expected).max() < within


@pytest.mark.parametrize(("family", "pooler"), KINDS)
def test_padding_to_a_bucket_changes_nothing(on_cpu: Callable[..., CpuSession], family: str, pooler: str) -> None:
    session = on_cpu(family, pooler, "fp32")
    lengths = np.array([7, 3, 12])
    ids = np.random.default_rng(0).integers(5, 40, 22)
    padding_id = 1 if family in ("roberta", "mpnet") else None
    plain = session.run(ids, lengths)
    padded = session._session.run(None, packed(ids, lengths, padding_id, Size(4, 16, 32)))[0]
    assert padded.shape[0] == 4
    np.testing.assert_allclose(padded[:3], plain, atol=2e-7)


@pytest.mark.parametrize("family", ["bert", "roberta", "mpnet"])
def test_the_session_lays_out_and_binds_every_run(on_cpu: Callable[..., CpuSession], family: str) -> None:
    plain = on_cpu(family, "avg", "fp32")
    session = cuda.CudaSession(plain._session, HostRuntime(), padding_id=plain._padding_id)  # type: ignore[arg-type]
    assert session.dimension == 32
    draw = np.random.default_rng(0)
    runs = []
    # From one sentence to more than any bucket holds, the same sizes again and again.
    for count in (1, 1, 2, 3, 5, 17, 60, 100, 1, 2, 100, 3):
        lengths = draw.integers(1, 60, count)
        runs.append((draw.integers(5, 40, int(lengths.sum())), lengths))
    with ThreadPoolExecutor(6) as callers:
        results = list(callers.map(lambda run: session.run(*run), runs))
    for vectors, run in zip(results, runs, strict=True):
        np.testing.assert_allclose(vectors, plain.run(*run), atol=3e-7)
    recorded = session._cuda_graphs._recorded
    assert 4 < len(recorded) < len(runs)
    assert max(size.tokens for size in recorded) <= GRAPH_TOKENS


def test_what_is_not_recorded_for_lack_of_room_runs_all_the_same(
    on_cpu: Callable[..., CpuSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda_graphs, "_MOST_GRAPHS", 1)
    plain = on_cpu("bert", "cls", "fp32")
    session = cuda.CudaSession(plain._session, HostRuntime(), padding_id=None)  # type: ignore[arg-type]
    for length in (5, 40, 5):
        run = np.full(length, 7), np.array([length])
        np.testing.assert_allclose(session.run(*run), plain.run(*run), atol=2e-7)
    assert [size.longest for size in session._cuda_graphs._recorded] == [16]


def test_a_cpu_is_refused(make: Make) -> None:
    with pytest.raises(ProviderError, match=r"asked for cpu, and this artifact's graph is for cuda"):
        Encoder(make("bert", "cls"), device="cpu")


def test_layers_too_wide_for_float16_stay_in_float32(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "wide")
    name, after = "encoder.layer.1.intermediate.dense", "encoder.layer.1.output.dense"
    # Its results pass 65,504, and what follows makes them small again.
    factors = {f"{name}.weight": _WIDE, f"{name}.bias": _WIDE, f"{after}.weight": 1 / _WIDE}
    edit_weights(checkpoint, lambda state: {key: value * factors.get(key, 1) for key, value in state.items()})
    folder = tmp_path / "artifact"
    manifest = export(checkpoint, folder, ExportOptions(pooler="cls", precision="fp16", target="cuda"))
    weights = {t.name: t.data_type for t in onnx.load(folder / GRAPH, load_external_data=False).graph.initializer}
    kept = {name for name, kind in weights.items() if kind == TensorProto.FLOAT and name.endswith(".dense.weight")}
    assert kept == {f"{name}.weight", f"{after}.weight"}
    assert manifest.parity is not None
    assert manifest.parity["min_cosine"] > 0.9999


def test_biases_that_softmax_and_averages_let_through(make: Make) -> None:
    checkpoint = open_checkpoint(make("bert", "cls").parent / "checkpoint")
    numbers = Architecture.of(checkpoint.config)
    assert numbers is not None
    weights = folded(numbers, load_weights(checkpoint.folder))
    graph = author(numbers, weights, Cuda("fp32"), pooler="cls", normalize=True)
    names = {tensor.name for tensor in graph.graph.initializer}
    assert not {name for name in names if "key.bias" in name or "value.bias" in name}
    assert any("query.bias" in name for name in names)


def test_verification_on_the_device_is_recorded(make: Make, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(make("bert", "cls"), tmp_path / "copy"))
    before = open_artifact(folder)
    measured = parity.Parity(
        vectors=76, max_abs_difference=1e-4, min_cosine=0.99999, mean_cosine=0.999999, max_norm_error=1e-6
    )
    parity.record(folder, before, measured)
    after = open_artifact(folder)
    assert (after.verified, after.parity) == (True, measured.to_json())
    assert after.identity == before.identity


def test_exporting_does_not_warn_of_what_it_is_about_to_check(checkpoint: Path, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UnverifiedWarning)
        export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="cls", precision="fp16", target="cuda"))
