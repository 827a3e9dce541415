import numpy as np
import pytest
from benchmarks.peak import Peak


@pytest.mark.parametrize("shape", [{}, {"rows": 3, "inner": 5, "columns": 130}], ids=str)
@pytest.mark.parametrize(
    ("precision", "types"), [("fp32", ("float32",) * 3), ("int8", ("uint8", "int8", "int32"))], ids=["fp32", "int8"]
)
def test_the_session_gives_numpys_product(precision: str, types: tuple[str, ...], shape: dict[str, int]) -> None:
    peak = Peak(precision, 1, **shape)
    a, b = peak.a, peak.b
    (product,) = peak.session.run(None, {"a": a})
    assert (a.dtype, b.dtype, product.dtype) == tuple(np.dtype(kind) for kind in types)
    assert product.shape == (len(a), b.shape[1])
    expected = a.astype(np.float64) @ b.astype(np.float64)
    np.testing.assert_allclose(product, expected, atol=0 if precision == "int8" else 1e-3)
    assert np.abs(expected).max() > 1


def test_operations() -> None:
    assert Peak("fp32", 1, rows=3, inner=5, columns=7).operations == 210


@pytest.mark.parametrize(("seconds", "runs"), [(0.9, 4), (0.01, 1)])
def test_the_rate_is_operations_over_time(monkeypatch: pytest.MonkeyPatch, seconds: float, runs: int) -> None:
    peak = Peak("fp32", 1, rows=3, inner=5, columns=7)
    times: list[float] = [0.0]

    def run() -> None:
        times.append(times[-1] + 0.25)

    monkeypatch.setattr("benchmarks.peak.time.perf_counter", lambda: times[-1])
    monkeypatch.setattr(peak, "_run", run)
    # 210 operations in a quarter of a second; the first run is not counted.
    assert peak.measure(seconds) == pytest.approx(840)
    assert len(times) - 1 == runs + 1


def test_the_rates_of_all_threads_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    peak = Peak("fp32", 3)
    monkeypatch.setattr(peak, "_rate", lambda seconds: 10 * seconds)
    assert peak.measure(2) == 60
