"""Every target and precision has a dialect, and says what of it a CPU can run."""

from pathlib import Path

import numpy as np
import pytest

from simcse_engine.artifact.kinds import TARGETS
from simcse_export import ExportOptions
from simcse_export.checkpoint.model import Model, read_model
from simcse_export.graph.dialects.bf16 import CpuBf16
from simcse_export.graph.dialects.cuda import Cuda, CudaOnCpu
from simcse_export.graph.dialects.int8 import CpuInt8
from simcse_export.graph.dialects.tensorrt import TensorRt, TensorRtInt8
from simcse_export.targets import spell

VARIANTS = [
    (target, precision)
    for target, kind in TARGETS.items()
    for precision in kind.precisions
    if (target, precision) != ("cpu", "fp32")
]
DIALECTS = {("cpu", "bf16"): CpuBf16, ("cpu", "int8"): CpuInt8, ("cuda", "fp32"): Cuda, ("cuda", "fp16"): Cuda}
BIAS = "encoder.layer.0.attention.self.value.bias"


@pytest.fixture(scope="module")
def model(checkpoint: Path) -> Model:
    return read_model(checkpoint, ExportOptions(pooler="avg"))


@pytest.mark.parametrize(("target", "precision"), VARIANTS)
def test_dialects(model: Model, target: str, precision: str) -> None:
    capability = (89,) if target == "tensorrt-rtx" else ()
    options = ExportOptions(pooler="avg", target=target, precision=precision, compute_capability=capability)
    sentences = [[2, 5 + i, 6 + i, 3] for i in range(20)]
    spelling = spell(model, options, ranges={}, calibration=lambda: sentences)
    expected = DIALECTS.get((target, precision), TensorRtInt8 if precision == "int8" else TensorRt)
    assert type(spelling.dialect) is expected
    assert spelling.weights.keys() == model.graph_weights().keys()
    # CPUs lack a kernel of CUDA's fused attention alone; that attention takes no bias of values.
    assert type(spelling.on_cpu) is (CudaOnCpu if target == "cuda" else type(None))
    assert np.any(spelling.weights[BIAS]) == (target != "cuda")


def test_only_int8_is_calibrated(model: Model) -> None:
    options = ExportOptions(pooler="avg", target="tensorrt", precision="fp16")
    spell(model, options, ranges={}, calibration=lambda: pytest.fail("fp16 has nothing to calibrate"))
