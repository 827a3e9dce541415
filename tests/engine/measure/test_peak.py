import numpy as np
import onnx
import pytest

from simcse_engine.measure.peak import Gemm, Peak
from simcse_engine.session import open_bytes

SHAPES = [{}, {"rows": 3, "inner": 5, "columns": 130}]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    ("precision", "types"), [("fp32", ("float32",) * 3), ("int8", ("uint8", "int8", "int32"))], ids=["fp32", "int8"]
)
def test_the_model_gives_numpys_product(precision: str, types: tuple[str, ...], shape: dict[str, int]) -> None:
    gemm = Gemm(precision=precision, **shape)
    a, b = gemm.operands()
    product = open_bytes(gemm.model(), threads=1)(a)
    assert (a.dtype, b.dtype, product.dtype) == tuple(np.dtype(kind) for kind in types)
    assert product.shape == (gemm.rows, gemm.columns)
    expected = a.astype(np.float64) @ b.astype(np.float64)
    if precision == "int8":
        assert (product == expected).all()
    else:
        np.testing.assert_allclose(product, expected, atol=1e-3)
    assert np.abs(expected).max() > 1


@pytest.mark.parametrize(("precision", "operator"), [("fp32", "MatMul"), ("int8", "MatMulInteger")])
def test_the_model_is_valid_onnx(precision: str, operator: str) -> None:
    gemm = Gemm(precision=precision)
    model = onnx.load_from_string(gemm.model())
    onnx.checker.check_model(model, full_check=True)
    assert (model.ir_version, [opset.version for opset in model.opset_import]) == (8, [13])
    assert [node.op_type for node in model.graph.node] == [operator] == [gemm.operator]
    # B is a constant, which the runtime may lay out as it likes before the first run.
    assert [tensor.name for tensor in model.graph.initializer] == [model.graph.node[0].input[1]]
    assert [value.name for value in model.graph.input] == [model.graph.node[0].input[0]]
    assert (onnx.numpy_helper.to_array(model.graph.initializer[0]) == gemm.operands()[1]).all()


def test_the_same_model_every_time() -> None:
    assert Gemm(precision="int8").model() == Gemm(precision="int8").model()


def test_which_product_for_which_artifact() -> None:
    assert Gemm.of("fp32", "cpu") == Gemm(precision="fp32", rows=512, inner=768, columns=3072)
    assert Gemm.of("int8", "cpu") == Gemm(precision="int8")
    assert Gemm.of("fp16", "cpu") is None
    assert Gemm.of("fp32", "cuda") is None


def test_operations() -> None:
    assert Gemm(precision="fp32", rows=3, inner=5, columns=7).operations == 210


class Clock:
    """A clock that each run of a product sets forward."""

    def __init__(self, run_s: float) -> None:
        self.now, self.runs, self.run_s = 100.0, 0, run_s

    def run(self, _: object) -> None:
        self.runs += 1
        self.now += self.run_s


@pytest.mark.parametrize(("seconds", "runs"), [(0.9, 4), (0.01, 1)])
def test_the_rate_is_operations_over_time(monkeypatch: pytest.MonkeyPatch, seconds: float, runs: int) -> None:
    peak = Peak(Gemm(precision="fp32", rows=3, inner=5, columns=7), 1)
    clock = Clock(0.25)
    monkeypatch.setattr("simcse_engine.measure.peak.time.perf_counter", lambda: clock.now)
    monkeypatch.setattr(peak, "_run", clock.run)
    # 210 operations in a quarter of a second; the first run is not counted.
    assert peak.measure(seconds) == pytest.approx(840)
    assert clock.runs == runs + 1
    peak.close()


def test_the_rates_of_all_threads_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    peak = Peak(Gemm(precision="fp32"), 3)
    monkeypatch.setattr(peak, "_rate", lambda seconds: 10 * seconds)
    assert peak.measure(2) == 60
    peak.close()
