"""The peers: each is a library in one precision."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ...inputs import Model
from . import environment as env
from .models import ctranslate2, openvino_int8, optimum_graph, sentence_folder, sentence_onnx

FP32 = 0.9999
BF16 = 0.999


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A library in one precision."""

    environment: env.Environment
    worker: str  # the module of `workers` that runs it
    model: Callable[[Model], Path]  # makes the file or folder that it reads
    precision: str | None = None  # that it is set to; None for its default
    least_cosine: float | None = FP32  # to the reference's vectors; None where the cosine is only reported
    arithmetic: str = "fp32"  # of its matrix products: fp32, bf16, int8, or "default" where the library decides
    own_batches: bool = False  # its user makes the batches, and so chooses their lengths and how many run at once
    poolers: tuple[str, ...] = ("avg", "cls")  # that it computes


_int8 = {"least_cosine": None, "arithmetic": "int8"}
_openvino = partial(
    Peer, environment=env.OPENVINO, worker="openvino", model=lambda m: optimum_graph(m) / "model.onnx", own_batches=True
)
_ctranslate2 = partial(Peer, environment=env.CTRANSLATE2, worker="ctranslate2", model=ctranslate2, own_batches=True)
_torch = partial(Peer, environment=env.SENTENCE_TRANSFORMERS, worker="sentence_transformers", model=sentence_folder)
_torch_onnx = partial(_torch, environment=env.SENTENCE_TRANSFORMERS_ONNX)

PEERS: dict[str, Peer] = {
    "fastembed": Peer(environment=env.FASTEMBED, worker="fastembed", model=optimum_graph),
    # Its default is bf16 where the CPU multiplies that, and float32 elsewhere.
    "openvino-default": _openvino(least_cosine=BF16, arithmetic="default"),
    "openvino-fp32": _openvino(precision="f32"),
    "openvino-int8": _openvino(model=lambda m: openvino_int8(m) / "model.xml", **_int8),
    "ctranslate2-fp32": _ctranslate2(precision="float32"),
    "ctranslate2-bf16": _ctranslate2(precision="bfloat16", least_cosine=BF16, arithmetic="bf16"),
    "ctranslate2-int8": _ctranslate2(precision="int8", **_int8),
    "sentence-transformers-fp32": _torch(precision="float32"),
    "sentence-transformers-bf16": _torch(precision="bfloat16", least_cosine=BF16, arithmetic="bf16"),
    "sentence-transformers-onnx-fp32": _torch_onnx(model=lambda m: sentence_onnx(m) / "onnx/model.onnx"),
    "sentence-transformers-onnx-int8": _torch_onnx(model=lambda m: sentence_onnx(m) / "onnx/model_int8.onnx", **_int8),
    "infinity": _torch(environment=env.INFINITY, worker="infinity", precision="float32"),
    "optimum": Peer(environment=env.OPTIMUM, worker="optimum", model=optimum_graph),
    "simcse": Peer(environment=env.SIMCSE, worker="simcse", model=lambda m: m.checkpoint(), poolers=("cls",)),
}


def named(words: Sequence[str]) -> list[str]:
    """The peers of these names; the first part of a name, as in "openvino", means all that begin with it.

    Raises:
        SystemExit: a word names no peer.
    """
    chosen: list[str] = []
    for word in words:
        peers = [name for name in PEERS if name == word or name.startswith(f"{word}-")]
        if not peers:
            sys.exit(f"{word!r} is no peer; known are {', '.join(PEERS)}")
        chosen += peers
    return list(dict.fromkeys(chosen))
