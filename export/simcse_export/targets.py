"""Which dialect a target and precision are written in, and what of it a CPU can run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .checkpoint.architecture import Architecture, Weights
from .graph.dialects.cuda import Cuda, CudaOnCpu, folded
from .graph.dialects.dialect import Dialect
from .graph.dialects.int8 import CpuInt8
from .graph.dialects.tensorrt import TensorRt, TensorRtInt8
from .int8.quantize import QuantizedLinear, Scheme, quantize
from .options import ExportOptions


@dataclass(frozen=True, kw_only=True)
class Model:
    """A checkpoint, ready to be written.

    Attributes:
        architecture: its numbers.
        weights: its tensors.
        first_only: whether the pooler reads the first token alone.
        wide: linear layers whose results float16 cannot hold.
        calibration: gives token ids of sentences to choose int8's numbers by.
    """

    architecture: Architecture
    weights: Weights
    first_only: bool
    wide: frozenset[str]
    calibration: Callable[[], Sequence[Sequence[int]]]

    def integers(self, scheme: Scheme) -> dict[str, QuantizedLinear]:
        """The int8 numbers of the linear layers."""
        return quantize(self.architecture, self.weights, self.calibration(), first_only=self.first_only, scheme=scheme)


@dataclass(frozen=True, kw_only=True)
class Spelling:
    """How a model is written for a target.

    Attributes:
        dialect: what it is written in.
        weights: what is written.
        on_cpu: a dialect that a CPU can run, with the same inputs and all operators alike but those it has no kernel
            of; None where a CPU runs the graph as it is.
    """

    dialect: Dialect
    weights: Weights
    on_cpu: Dialect | None = None


def spell(model: Model, options: ExportOptions) -> Spelling:
    """Choose dialects for the options' target and precision, other than float32 on CPUs."""
    precision, wide = options.precision, model.wide
    if options.target == "cpu":
        return Spelling(dialect=CpuInt8(model.integers(Scheme())), weights=model.weights)
    if options.target == "cuda":
        weights = folded(model.architecture, model.weights)
        return Spelling(dialect=Cuda(precision, wide), weights=weights, on_cpu=CudaOnCpu(precision, wide))
    if precision == "int8":
        integers = model.integers(Scheme(symmetric=True, int8_embeddings=False))
        return Spelling(dialect=TensorRtInt8(integers, wide), weights=model.weights)
    return Spelling(dialect=TensorRt(precision, wide), weights=model.weights)
