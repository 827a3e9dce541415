"""Who is measured: the peers."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .environment import CTRANSLATE2, FASTEMBED, OPENVINO, Environment
from .models import Model, ctranslate2, openvino_int8, optimum_graph


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A library in one precision.

    Attributes:
        environment: where it runs.
        module: its worker.
        model: makes the file or folder that it reads.
        precision: what it is asked to compute in; None for its default.
        least_cosine: to the reference's vectors; None where it is reported and not asked for.
        own_batches: its user makes the batches, and so chooses their lengths and how many run at once.
    """

    environment: Environment
    module: str
    model: Callable[[Model], Path]
    precision: str | None
    least_cosine: float | None
    own_batches: bool = True


FP32 = 0.9999
BF16 = 0.999


def _graph(model: Model) -> Path:
    return optimum_graph(model) / "model.onnx"


def _quantized(model: Model) -> Path:
    return openvino_int8(model) / "model.xml"


def _openvino(model: Callable[[Model], Path], precision: str | None, least_cosine: float | None) -> Peer:
    return Peer(
        environment=OPENVINO,
        module="peers.workers.openvino",
        model=model,
        precision=precision,
        least_cosine=least_cosine,
    )


def _ctranslate2(precision: str, least_cosine: float | None) -> Peer:
    return Peer(
        environment=CTRANSLATE2,
        module="peers.workers.ctranslate2",
        model=ctranslate2,
        precision=precision,
        least_cosine=least_cosine,
    )


PEERS = {
    "fastembed": Peer(
        environment=FASTEMBED,
        module="peers.workers.fastembed",
        model=optimum_graph,
        precision=None,
        least_cosine=FP32,
        own_batches=False,
    ),
    # Its default is bf16 where the CPU multiplies that, and float32 elsewhere.
    "openvino-default": _openvino(_graph, None, BF16),
    "openvino-fp32": _openvino(_graph, "f32", FP32),
    "openvino-int8": _openvino(_quantized, None, None),
    "ctranslate2-fp32": _ctranslate2("float32", FP32),
    "ctranslate2-int8": _ctranslate2("int8", None),
}
