"""The spellings of the graph for CUDA that a GPU has to choose between: exported on any machine, opened on a GPU.

A spelling is a way to write the same model (`CudaOptions`), and options that the runtime's CUDA provider is opened
with. The first is that of every artifact. The others are predictions of `choices.cuda_layer` until they have run.
"""

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from unittest import mock

import onnx

from simcse_engine import Encoder
from simcse_engine.artifact.manifest import GRAPH, WEIGHTS, Manifest
from simcse_engine.session.cuda import session as cuda
from simcse_export.checkpoint.architecture import TOKEN_TYPES, Architecture
from simcse_export.checkpoint.checkpoint import open_checkpoint
from simcse_export.checkpoint.weights import load_weights, select
from simcse_export.graph.bert import author
from simcse_export.graph.dialects.cuda import Cuda, CudaOptions, folded
from simcse_export.graph.nodes import save_model

from ..inputs import Model

# Bits of the provider's option `sdpa_kernel`, `AttentionBackend` in the runtime. Named alone, a kernel serves texts of
# any length.
_FLASH, _EFFICIENT = {"sdpa_kernel": "1"}, {"sdpa_kernel": "2"}


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
    "as-it-is": CudaSpelling(about="three products for attention, flash attention, exact GELU"),
    "efficient": CudaSpelling(
        about="the same graph with CUTLASS's attention, whose tiles are smaller", provider=_EFFICIENT
    ),
    "packed": CudaSpelling(
        about="one product for attention; on a Hopper GPU CUTLASS's attention, on older ones TensorRT's",
        options=CudaOptions(packed=True),
    ),
    "packed-flash": CudaSpelling(
        about="one product for flash attention", options=CudaOptions(packed=True), provider=_FLASH
    ),
    "tanh-gelu": CudaSpelling(about="GELU's tanh approximation", options=CudaOptions(tanh_gelu=True)),
    "efficient-tanh": CudaSpelling(
        about="CUTLASS's attention and GELU's tanh approximation",
        options=CudaOptions(tanh_gelu=True),
        provider=_EFFICIENT,
    ),
}


def export_spelling(name: str, model: Model, folder: Path) -> Path:
    """Write a model's artifact in float16 for CUDA, in one of `CUDA_SPELLINGS`, into ``folder``, which is replaced.

    Needs no GPU. All but the graph is that of the model's usual artifact, which is exported where it is missing.
    """
    usual = model.artifact("fp16", "cuda")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(usual, folder, ignore=shutil.ignore_patterns(GRAPH, WEIGHTS))
    checkpoint = model.checkpoint()
    numbers = Architecture.of(open_checkpoint(checkpoint, None).config)
    weights = folded(numbers, select(load_weights(checkpoint), numbers.shapes(model.pooler), optional=[TOKEN_TYPES]))
    dialect = Cuda("fp16", _wide(usual), CUDA_SPELLINGS[name].options)
    save_model(author(numbers, weights, dialect, pooler=model.pooler, normalize=True), folder / GRAPH, WEIGHTS)
    replace(Manifest.read(usual), files=Manifest.files_in(folder), verified=None).write(folder)
    return folder


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
