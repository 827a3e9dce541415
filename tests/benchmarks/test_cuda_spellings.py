"""The spellings for CUDA: what is counted of them, what is written, and how they are timed, all but on a GPU."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import onnx
import pytest
from benchmarks.choices import cuda_layer, cuda_spellings
from benchmarks.choices.cuda_layer import H100, Attention, Node, layer, nodes_of
from benchmarks.choices.cuda_spellings import CUDA_SPELLINGS, USUAL, compare_encoders, export_spelling
from benchmarks.inputs import Model
from benchmarks.report.pages import block

from simcse_engine import Manifest
from simcse_engine.artifact.manifest import GRAPH, WEIGHTS
from simcse_engine.session.cpu import CpuSession
from simcse_engine.session.cuda.session import CudaSession, provider_options
from simcse_export import ExportOptions, export
from simcse_export.checkpoint.architecture import Architecture
from simcse_export.checkpoint.checkpoint import open_checkpoint
from simcse_export.checkpoint.weights import load_weights
from simcse_export.graph.bert import author
from simcse_export.graph.dialects.cuda import CudaOnCpu, folded
from simcse_export.graph.nodes import save_model
from support.checkpoints import make_checkpoint
from support.host_runtime import HostRuntime

HEADS, HIDDEN, INTERMEDIATE = 4, 32, 64
TOKENS = 128


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A small model whose artifact for CUDA is there already."""
    folder = tmp_path_factory.mktemp("model")
    # The ids that are timed are those of BERT's vocabulary.
    checkpoint = make_checkpoint(folder / "checkpoint", vocab_size=20_000)
    options = ExportOptions(pooler="avg", precision="fp16", target="cuda")
    export(checkpoint, folder / "artifact", options)

    class Small(Model):
        def artifact(self, *_: str) -> Path:
            return folder / "artifact"

    return Small(name="small", checkpoint=lambda: checkpoint, pooler="avg", round_sentences=1)


@pytest.fixture(scope="module")
def spelled(model: Model, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("spelled")
    return {name: export_spelling(name, model, folder / name) for name in CUDA_SPELLINGS}


@pytest.fixture(autouse=True)
def few_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_layer, "TOKENS", TOKENS)
    monkeypatch.setattr(cuda_spellings, "TOKENS", TOKENS)


def test_artifacts(model: Model, spelled: dict[str, Path]) -> None:
    usual = Manifest.read(model.artifact())
    assert Manifest.read(spelled[USUAL]).identity == usual.identity
    for name, folder in spelled.items():
        manifest = Manifest.read(folder)
        assert manifest.files == Manifest.files_in(folder)
        assert (manifest.identity == usual.identity) == (name in (USUAL, "efficient"))
        assert (manifest.target, manifest.layout, manifest.verified) == ("cuda", "packed", None)


def test_options_of_the_provider(spelled: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []

    class Opened:
        def __init__(self, folder: Path, **_: str) -> None:
            opened.append((folder, cuda_spellings.cuda.provider_options(0, precision="fp16")))

        def __enter__(self) -> "Opened":
            return self

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(cuda_spellings, "Encoder", Opened)
    for name in (USUAL, "efficient"):
        with cuda_spellings.opened_spelling(name, spelled[name], "cuda:0"):
            pass
    usual = provider_options(0, precision="fp16")
    assert opened == [(spelled[USUAL], usual), (spelled["efficient"], {**usual, "sdpa_kernel": "2"})]
    assert cuda_spellings.cuda.provider_options is provider_options


def graph_of(folder: Path) -> onnx.GraphProto:
    return onnx.load(folder / GRAPH, load_external_data=False).graph


def test_nodes_of_a_layer(spelled: dict[str, Path]) -> None:
    attention = Attention(name="flash", tile=128, scores_a_second=1e12, copies=False)
    nodes = dict(nodes_of(graph_of(spelled[USUAL]), attention, 16))
    row = 2 * TOKENS  # bytes of a column of float16
    square = Node(
        operator="MatMul",
        read=HIDDEN * row + 2 * HIDDEN**2,
        written=HIDDEN * row,
        flops=2 * TOKENS * HIDDEN**2,
    )
    up = Node(
        operator="MatMul",
        read=HIDDEN * row + 2 * HIDDEN * INTERMEDIATE,
        written=INTERMEDIATE * row,
        flops=2 * TOKENS * HIDDEN * INTERMEDIATE,
    )
    norm = Node(operator="SkipLayerNormalization", read=2 * HIDDEN * row + 3 * 2 * HIDDEN, written=HIDDEN * row)
    assert nodes == {
        "attention.self.key": square,
        "attention.self.value": square,
        "attention.self.query": square,
        "Add": Node(operator="Add", read=HIDDEN * row + 2 * HIDDEN, written=HIDDEN * row),
        "attention": Node(
            operator="PackedMultiHeadAttention",
            read=3 * HIDDEN * row,
            written=HIDDEN * row,
            # A text of 16 tokens fills a tile of 128 as one of 128 does.
            scores=HEADS * (TOKENS // 16) * 128**2,
        ),
        "attention.output.dense": square,
        "SkipLayerNormalization": norm,
        "intermediate.dense": up,
        "BiasGelu": Node(operator="BiasGelu", read=INTERMEDIATE * row + 2 * INTERMEDIATE, written=INTERMEDIATE * row),
        "output.dense": dataclasses.replace(
            up, read=INTERMEDIATE * row + 2 * HIDDEN * INTERMEDIATE, written=HIDDEN * row
        ),
        "SkipLayerNormalization.2": norm,
    }


def test_one_product_is_copied_apart(spelled: dict[str, Path]) -> None:
    attention = Attention.of(CUDA_SPELLINGS["packed"], H100)
    nodes = dict(nodes_of(graph_of(spelled["packed"]), attention, 16))
    assert "Add" not in nodes
    assert nodes["attention.self.query.packed"].flops == 3 * 2 * TOKENS * HIDDEN**2
    copy = nodes["copy of queries, keys, values"]
    assert copy.read == copy.written == 3 * 2 * TOKENS * HIDDEN
    assert nodes["attention"].written == 2 * TOKENS * HIDDEN


def test_kernels_of_attention() -> None:
    kernels = {name: Attention.of(spelling, H100) for name, spelling in CUDA_SPELLINGS.items()}
    assert {name: (each.name, each.copies) for name, each in kernels.items()} == {
        "as-it-is": ("flash", False),
        "efficient": ("CUTLASS", False),
        "packed": ("CUTLASS", True),
        "packed-flash": ("flash", True),
        "tanh-gelu": ("flash", False),
        "efficient-tanh": ("CUTLASS", False),
    }
    assert [kernels["efficient"].scores(length) for length in (16, 64, 65)] == [64**2, 64**2, 128**2]


def test_the_least_time_is_that_of_the_bound(spelled: dict[str, Path]) -> None:
    figures = layer(graph_of(spelled[USUAL]), Attention.of(CUDA_SPELLINGS[USUAL], H100), 16)
    assert figures["attention"]["bound"] == "scores"
    assert figures["Add"]["bound"] == "memory"
    added = figures["Add"]
    moved = added["read"] + added["written"]
    assert added["us"] == pytest.approx(1e6 * (moved / H100.bytes + H100.launch_seconds))


@pytest.fixture(scope="module")
def encoders(model: Model, tmp_path_factory: pytest.TempPathFactory) -> dict[str, SimpleNamespace]:
    """Sessions for a GPU whose graph, in plain operators, runs on this CPU."""
    checkpoint = open_checkpoint(model.checkpoint())
    numbers = Architecture.of(checkpoint.config)
    assert numbers is not None
    weights = folded(numbers, load_weights(checkpoint.folder))
    folder = tmp_path_factory.mktemp("twin")
    save_model(author(numbers, weights, CudaOnCpu("fp32"), pooler="avg", normalize=True), folder / GRAPH, WEIGHTS)
    opened = {}
    for name in (USUAL, "packed"):
        on_cpu = CpuSession(folder, layout="packed")
        session = CudaSession(on_cpu._session, HostRuntime(), padding_id=None)  # type: ignore[arg-type]
        runner = SimpleNamespace(joint=lambda session=session: session)
        opened[name] = SimpleNamespace(manifest=Manifest.read(model.artifact()), _runner=runner)
    return opened


def test_spellings_are_timed_in_turns(encoders: dict[str, SimpleNamespace]) -> None:
    figures = compare_encoders(encoders, lengths=(16, 40), rounds=2, runs=3)
    assert figures["graph_alone"].keys() == {16, 40}
    assert figures["graph_alone"][16]["ms"].keys() == {USUAL, "packed"}
    assert figures["one_sentence"]["over_as-it-is"].keys() == {"packed"}
    # Slots are given back.
    assert all(each._runner.joint()._slots.qsize() == 3 for each in encoders.values())


def test_tables_say_what_has_not_run() -> None:
    nodes = {
        "Add": {"read": 2e6, "written": 1e6, "bound": "memory", "us": 9.5},
        "attention": {"read": 3e6, "written": 1e6, "bound": "scores", "us": 150.9},
    }
    by_length = {key: {"us": 310.3, "kernels": 11, "share_of_peak": 0.2365} for key in ("16", "32", "64", "128")}
    predicted = {"nodes": dict.fromkeys(by_length, nodes), "spellings": {USUAL: by_length}}
    without_bias = {**predicted, "nodes": {key: {"attention": nodes["attention"]} for key in by_length}}
    results = {
        "cuda_layer": {"models": {"minilm": predicted, "bert-base": without_bias}},
        "gpu-first-run": {"minilm": {"share_of_fp16_matrix_peak_by_tokens": {"16": {"ours": 0.11}}}},
    }
    assert "| `Add` | 3 | memory | 10 |  |  |  |" in block("cuda-nodes", results)
    assert "| attention, texts of 16 | 4 | scores | 151 | 4 | scores | 151 |" in block("cuda-nodes", results)
    spellings = block("cuda-spellings", results)
    assert "| MiniLM: `as-it-is` | 11 | 310 (0.24) |" in spellings
    assert "measured from token ids |  | (0.11) | not run | not run | not run |" in spellings
