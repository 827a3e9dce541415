"""The spellings of the graph for CUDA that a GPU has to choose between: exported on any machine, opened on a GPU.

A spelling is a way to write the same model (`CudaOptions`), and options that the runtime's CUDA provider is opened
with. The first is that of every artifact. The others are predictions of `choices.cuda_layer` until they have run.
"""

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import onnx

from simcse_engine import Encoder
from simcse_engine.artifact.manifest import GRAPH, WEIGHTS, Manifest
from simcse_engine.session.cuda import session as cuda
from simcse_engine.session.feeds import packed
from simcse_export.checkpoint.architecture import TOKEN_TYPES, Architecture, Weights
from simcse_export.checkpoint.checkpoint import open_checkpoint
from simcse_export.checkpoint.weights import load_weights, select
from simcse_export.graph.bert import author
from simcse_export.graph.dialects.cuda import Cuda, CudaOptions, folded
from simcse_export.graph.nodes import save_model

from ..flops import Flops
from ..inputs import Model
from ..statistics import over, spreads
from ..turns import alternate, timed

# A run of bulk work, and what an H100 multiplies in a second, by torch's product of large matrices.
TOKENS, H100_FLOPS = 16_384, 790e12
USUAL = "as-it-is"

# Bits of the provider's option `sdpa_kernel`, `AttentionBackend` in the runtime. Named alone, a kernel serves texts of
# any length.
FLASH, EFFICIENT = {"sdpa_kernel": "1"}, {"sdpa_kernel": "2"}


@dataclass(frozen=True, kw_only=True)
class CudaSpelling:
    """One of several ways to write and open the same model.

    Attributes:
        about: what it is, for people.
        options: how the graph is written.
        provider: options of the CUDA provider besides the engine's.
    """

    about: str
    options: CudaOptions = field(default_factory=CudaOptions)
    provider: Mapping[str, str] = field(default_factory=dict)


CUDA_SPELLINGS: Mapping[str, CudaSpelling] = {
    USUAL: CudaSpelling(about="three products for attention, flash attention, exact GELU"),
    "efficient": CudaSpelling(
        about="the same graph with CUTLASS's attention, whose tiles are smaller", provider=EFFICIENT
    ),
    "packed": CudaSpelling(
        about="one product for attention; on a Hopper GPU CUTLASS's attention, on older ones TensorRT's",
        options=CudaOptions(packed=True),
    ),
    "packed-flash": CudaSpelling(
        about="one product for flash attention", options=CudaOptions(packed=True), provider=FLASH
    ),
    "tanh-gelu": CudaSpelling(about="GELU's tanh approximation", options=CudaOptions(tanh_gelu=True)),
    "efficient-tanh": CudaSpelling(
        about="CUTLASS's attention and GELU's tanh approximation",
        options=CudaOptions(tanh_gelu=True),
        provider=EFFICIENT,
    ),
}


def export_spelling(name: str, model: Model, folder: Path) -> Path:
    """Write a model's artifact in float16 for CUDA, in one of `CUDA_SPELLINGS`, into ``folder``, which is replaced.

    Needs no GPU. All but the graph is that of the model's usual artifact, which is exported where it is missing.
    """
    usual = model.artifact("fp16", "cuda")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(usual, folder, ignore=shutil.ignore_patterns(GRAPH, WEIGHTS))
    numbers, weights = folded_weights(model)
    dialect = Cuda("fp16", _wide(usual), CUDA_SPELLINGS[name].options)
    save_model(author(numbers, weights, dialect, pooler=model.pooler, normalize=True), folder / GRAPH, WEIGHTS)
    replace(Manifest.read(usual), files=Manifest.files_in(folder), verified=None).write(folder)
    return folder


def folded_weights(model: Model) -> tuple[Architecture, Weights]:
    """A model's numbers, and its weights as graphs for CUDA take them."""
    checkpoint = model.checkpoint()
    numbers = Architecture.of(open_checkpoint(checkpoint, None).config)
    weights = select(load_weights(checkpoint), numbers.shapes(model.pooler), optional=[TOKEN_TYPES])
    return numbers, folded(numbers, weights)


def _wide(artifact: Path) -> set[str]:
    """The linear layers that an artifact in float16 keeps in float32."""
    tensors = onnx.load(artifact / GRAPH, load_external_data=False).graph.initializer
    suffix = ".dense.weight"
    names = [each.name for each in tensors if each.data_type == onnx.TensorProto.FLOAT and each.name.endswith(suffix)]
    return {name.removesuffix(".weight") for name in names}


@contextlib.contextmanager
def opened_spelling(name: str, folder: Path, device: str) -> Iterator[Encoder]:
    """Open what `export_spelling` wrote on a GPU, with the provider's options of the spelling."""
    options = partial(_provider_options, cuda.provider_options, CUDA_SPELLINGS[name].provider)
    with contextlib.ExitStack() as stack:
        # Encoders open their one session for a GPU as they warm up.
        with mock.patch.object(cuda, "provider_options", options):
            encoder = stack.enter_context(Encoder(folder, device=device, truncate="silent"))
        yield encoder


def _provider_options(usual, further: Mapping[str, str], device_index: int, *, precision: str) -> dict[str, str]:
    return {**usual(device_index, precision=precision), **further}


def compare_spellings(
    folders: Mapping[str, Path],
    device: str,
    *,
    lengths: Sequence[int] = (16, 32, 64, 128),
    rounds: int = 9,
    runs: int = 20,
) -> dict[str, Any]:
    """Time spellings in turns on a GPU: runs of 16,384 tokens of one length, of the graph alone, and one sentence.

    ``folders`` are what `export_spelling` wrote, by name, "as-it-is" among them.
    """
    with contextlib.ExitStack() as stack:
        encoders = {name: stack.enter_context(opened_spelling(name, each, device)) for name, each in folders.items()}
        return compare_encoders(encoders, lengths=lengths, rounds=rounds, runs=runs)


def compare_encoders(
    encoders: Mapping[str, Encoder], *, base: str = USUAL, lengths: Sequence[int], rounds: int, runs: int
) -> dict[str, Any]:
    """`compare_spellings` of encoders that are open, each with one session on a GPU; ratios are to ``base``."""
    flops = Flops.of(next(iter(encoders.values())).manifest)
    graphs = {}
    for length in lengths:
        with contextlib.ExitStack() as stack:
            ways = {name: stack.enter_context(_graph_alone(each, length)) for name, each in encoders.items()}
            seconds = alternate({name: timed(way) for name, way in ways.items()}, [runs] * rounds)
        done = runs * _tokens(length) * flops.per_token
        shares = {name: [done / s / H100_FLOPS for s in each] for name, each in seconds.items()}
        graphs[length] = {
            "ms": spreads({name: [1e3 * s / runs for s in each] for name, each in seconds.items()}),
            "share_of_790_tflops": spreads(shares),
            f"over_{base}": over(seconds, base),
        }
    alone = {name: timed(partial(_one_by_one, each)) for name, each in encoders.items()}
    seconds = alternate(alone, [runs] * rounds)
    return {
        "graph_alone": graphs,
        "one_sentence": {
            "ms": spreads({name: [1e3 * s / runs for s in each] for name, each in seconds.items()}),
            f"over_{base}": over(seconds, base),
        },
    }


@contextlib.contextmanager
def _graph_alone(encoder: Encoder, length: int) -> Iterator[Callable[[int], None]]:
    """What runs the graph so many times on inputs that lie on the GPU already."""
    session = encoder._runner.joint()
    count = _tokens(length) // length
    ids = np.random.default_rng(0).integers(1000, 20_000, count * length)
    slot = session._slots.get()
    slot.send(packed(ids, np.full(count, length), encoder.manifest.padding_id))

    def run(times: int) -> None:
        for _ in range(times):
            session._thread.submit(slot.run).result()

    try:
        yield run
    finally:
        session._slots.put(slot)


def _one_by_one(encoder: Encoder, times: int) -> None:
    session = encoder._runner.joint()
    for _ in range(times):
        session.run(np.full(16, 1000), np.array([16]))


def _tokens(length: int) -> int:
    return max(length, TOKENS // length * length)
