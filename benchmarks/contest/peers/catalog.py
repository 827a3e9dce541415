"""Who is measured: the peers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ...inputs import Model
from .environment import (
    CTRANSLATE2,
    FASTEMBED,
    INFINITY,
    OPENVINO,
    OPTIMUM,
    SENTENCE_TRANSFORMERS,
    SENTENCE_TRANSFORMERS_ONNX,
    SIMCSE,
    Environment,
)
from .models import ctranslate2, openvino_int8, optimum_graph, sentence_folder, sentence_onnx


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A library in one precision.

    Attributes:
        environment: where it runs.
        worker: the module of `workers` that runs it.
        model: makes the file or folder that it reads.
        precision: what it is asked to compute in; None for its default.
        least_cosine: to the reference's vectors; None where it is reported and not asked for.
        arithmetic: of its matrix products, "fp32", "bf16" or "int8"; "default" where the library decides.
        own_batches: its user makes the batches, and so chooses their lengths and how many run at once.
        poolers: which it computes.
    """

    environment: Environment
    worker: str
    model: Callable[[Model], Path]
    precision: str | None
    least_cosine: float | None
    arithmetic: str
    own_batches: bool = True
    poolers: tuple[str, ...] = ("avg", "cls")


FP32 = 0.9999
BF16 = 0.999


def _graph(model: Model) -> Path:
    return optimum_graph(model) / "model.onnx"


def _quantized(model: Model) -> Path:
    return openvino_int8(model) / "model.xml"


def _sentence_graph(model: Model) -> Path:
    return sentence_onnx(model) / "onnx/model.onnx"


def _sentence_int8(model: Model) -> Path:
    return sentence_onnx(model) / "onnx/model_int8.onnx"


_openvino = partial(Peer, environment=OPENVINO, worker="openvino")
_ctranslate2 = partial(Peer, environment=CTRANSLATE2, worker="ctranslate2", model=ctranslate2)
# Those that sort and pad by themselves, or are given sorted texts.
_torch = partial(
    Peer,
    environment=SENTENCE_TRANSFORMERS,
    worker="sentence_transformers",
    model=sentence_folder,
    own_batches=False,
)
_torch_onnx = partial(_torch, environment=SENTENCE_TRANSFORMERS_ONNX, precision=None)

PEERS: dict[str, Peer] = {
    "fastembed": Peer(
        environment=FASTEMBED,
        worker="fastembed",
        model=optimum_graph,
        precision=None,
        least_cosine=FP32,
        arithmetic="fp32",
        own_batches=False,
    ),
    # Its default is bf16 where the CPU multiplies that, and float32 elsewhere.
    "openvino-default": _openvino(model=_graph, precision=None, least_cosine=BF16, arithmetic="default"),
    "openvino-fp32": _openvino(model=_graph, precision="f32", least_cosine=FP32, arithmetic="fp32"),
    "openvino-int8": _openvino(model=_quantized, precision=None, least_cosine=None, arithmetic="int8"),
    "ctranslate2-fp32": _ctranslate2(precision="float32", least_cosine=FP32, arithmetic="fp32"),
    "ctranslate2-int8": _ctranslate2(precision="int8", least_cosine=None, arithmetic="int8"),
    "sentence-transformers-fp32": _torch(precision="float32", least_cosine=FP32, arithmetic="fp32"),
    "sentence-transformers-bf16": _torch(precision="bfloat16", least_cosine=BF16, arithmetic="bf16"),
    "sentence-transformers-onnx-fp32": _torch_onnx(model=_sentence_graph, least_cosine=FP32, arithmetic="fp32"),
    "sentence-transformers-onnx-int8": _torch_onnx(model=_sentence_int8, least_cosine=None, arithmetic="int8"),
    "infinity": _torch(
        environment=INFINITY,
        worker="infinity",
        precision="float32",
        least_cosine=FP32,
        arithmetic="fp32",
    ),
    "optimum": Peer(
        environment=OPTIMUM,
        worker="optimum",
        model=optimum_graph,
        precision=None,
        least_cosine=FP32,
        arithmetic="fp32",
        own_batches=False,
    ),
    "simcse": Peer(
        environment=SIMCSE,
        worker="simcse",
        model=lambda model: model.checkpoint(),
        precision=None,
        least_cosine=FP32,
        arithmetic="fp32",
        own_batches=False,
        poolers=("cls",),
    ),
}


def named(words: Sequence[str]) -> list[str]:
    """The peers of these names; the first part of a name, as in "openvino", means all that begin with it.

    Raises:
        ValueError: a word that names nobody.
    """
    chosen = []
    for word in words:
        found = [name for name in PEERS if name == word or name.startswith(f"{word}-")]
        if not found:
            raise ValueError(f"{word!r} is no peer; known are {', '.join(PEERS)}")
        chosen += found
    return list(dict.fromkeys(chosen))
