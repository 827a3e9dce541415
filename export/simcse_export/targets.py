"""How each target and precision is written: its dialect, the weights it takes, and what of it a CPU can run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from simcse_engine.artifact.kinds import TARGETS
from simcse_engine.errors import UnsupportedModelError
from simcse_engine.wording import Wording, argument

from .checkpoint.architecture import Weights
from .checkpoint.model import Model
from .checkpoint.ranges import wide_layers
from .graph.dialects.bf16 import CpuBf16
from .graph.dialects.cuda import POOLERS as CUDA_POOLERS
from .graph.dialects.cuda import Cuda, CudaOnCpu, folded
from .graph.dialects.dialect import Dialect
from .graph.dialects.int8 import CpuInt8, PlainCpuInt8
from .graph.dialects.padded import PaddedBf16, PaddedFp32, PaddedInt8
from .graph.dialects.tensorrt import TensorRt, TensorRtInt8
from .graph.pooling import FIRST_TOKEN
from .int8.quantize import QuantizedLinear, quantize
from .options import ExportOptions
from .tail.head import OnnxHead


@dataclass(frozen=True, kw_only=True)
class Spelling:
    """How a model is written for a target.

    Attributes:
        dialect: what it is written in.
        weights: what is written.
        on_cpu: a dialect for CPUs of the same inputs, which differs only in operators that CPUs have no kernel of;
            None where CPUs run the graph itself.
    """

    dialect: Dialect
    weights: Weights
    on_cpu: Dialect | None = None


def check_target(model: Model, options: ExportOptions) -> None:
    """Refuse a pooler that the options' target or layout cannot have, or a head that its operators cannot express."""
    in_steps = options.precision == "int8" and options.target != "cpu"
    for head in model.tail:
        if isinstance(head, OnnxHead):
            # The float32 twin's version, and the target's.
            for opset in {Dialect.opset, TensorRtInt8.opset if in_steps else Dialect.opset}:
                head.converted(opset)
    if not model.include_prompt and (options.target != "cpu" or options.layout is not None):
        raise UnsupportedModelError(
            "pooling leaves a prompt's tokens out (include_prompt is false), which only graphs for CPUs in their own "
            "layout do; export this model with ",
            argument("target", "cpu"),
            *([] if options.layout is None else [" and without ", Wording("layout", "--layout")]),
        )
    if options.target == "cuda" and model.pooler not in CUDA_POOLERS:
        others = [name for name, target in TARGETS.items() if name != "cuda"]
        raise UnsupportedModelError(
            f"pooler {model.pooler} looks at tokens one by one, which graphs for cuda have no grid for; choose one of "
            f"{', '.join(others)} with ",
            Wording("target=…", "--target"),
        )


def spell(
    model: Model,
    options: ExportOptions,
    *,
    ranges: Mapping[str, float],
    calibration: Callable[[], Sequence[Sequence[int]]],
) -> Spelling:
    """Choose the dialect of the options' target, precision and layout, other than float32 on CPUs in its own layout.

    ``ranges`` come from `recording_ranges`; ``calibration`` gives token ids of sentences to choose int8's numbers by.
    """
    weights, precision = model.graph_weights(), options.precision
    wide = wide_layers(ranges) if precision != "fp32" else frozenset()

    def integers(**scheme: bool) -> Mapping[str, QuantizedLinear]:
        first_only = model.pooler in FIRST_TOKEN and model.include_prompt
        return quantize(model.architecture, weights, calibration(), first_only=first_only, **scheme)

    if options.layout == "padded":
        padded = {"fp32": PaddedFp32, "bf16": PaddedBf16}.get(precision)
        return Spelling(dialect=padded() if padded else PaddedInt8(integers()), weights=weights)
    if options.target == "cpu":
        int8 = CpuInt8 if model.include_prompt else PlainCpuInt8
        dialect = CpuBf16() if precision == "bf16" else int8(integers())
        return Spelling(dialect=dialect, weights=weights)
    if options.target == "cuda":
        weights = folded(model.architecture, weights)
        return Spelling(dialect=Cuda(precision, wide), weights=weights, on_cpu=CudaOnCpu(precision, wide))
    if precision == "int8":
        layers = integers(symmetric=True, int8_embeddings=False)
        return Spelling(dialect=TensorRtInt8(layers, wide), weights=weights)
    return Spelling(dialect=TensorRt(precision, wide), weights=weights)
