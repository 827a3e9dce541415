"""LayerNorm and rounding to the numbers of products, against NumPy to the bit; and transposition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from support import lanes
from support.kernels import Kernels
from support.lanes import BYTES, KINDS, PAIRS, TYPES
from support.layers import normalized

SIZES = [*range(1, 20), 31, 32, 33, 47, 48, 49, 63, 64, 65, 80, 127, 128, 129, 383, 384, 385, 768]
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
EXTREMES = np.array(
    [
        *(0, -0.0, 1e-45, -1e-45, 1e-38, 0.5, 1.5, 2.5, -0.5, 254.5, 255.5, 256),
        *(1e9, -1e9, 2**31, -(2**31), 3e38, -3e38, np.inf, -np.inf, np.nan),
    ],
    np.float32,
)


def found_numbers(kernels: Kernels, kind: int, x: np.ndarray, factor: np.ndarray, offset: np.ndarray) -> np.ndarray:
    to = np.ones(-(-x.size // 64) * 64, TYPES[kind])
    assert kernels.call("simcse_testing_numbers", kind, x, x.size, factor, offset, to) == 0
    if kind == PAIRS:
        assert not to[x.size : -(-x.size // 32) * 32].any(), "tiles of matrices read whole 64 bytes"
    return to[: x.size]


@pytest.mark.parametrize("size", SIZES)
def test_norms_of_every_size(kernels: Kernels, size: int) -> None:
    rng = np.random.default_rng(size)
    gamma, beta, x = rng.normal(size=(3, size)).astype(np.float32)
    for row in (x, x * 1e4 + 1e6, np.zeros_like(x), np.full_like(x, 3), x * 1e-20):
        epsilon = np.float32(1e-12)

        def run(row: np.ndarray = row, epsilon: np.float32 = epsilon) -> np.ndarray:
            to = row.copy()
            assert kernels.call("simcse_testing_normalize", to, size, np.array([epsilon]), gamma, beta) == 0
            return to

        found = lanes.on_every_variant(kernels, run)
        np.testing.assert_array_equal(found, normalized(row[None], gamma, beta, epsilon)[0])
    exact = (x - x.mean(dtype=np.float64)) / np.sqrt(x.var(dtype=np.float64) + 1e-12) * gamma + beta
    np.testing.assert_allclose(normalized(x[None], gamma, beta, np.float32(1e-12))[0], exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_as_numbers(kernels: Kernels, kind: int) -> None:
    rng = np.random.default_rng(kind)
    for size in SIZES:
        x, factor, offset = rng.normal(size=(3, size)).astype(np.float32) * 100
        found = lanes.on_every_variant(kernels, lambda x=x, f=factor, o=offset: found_numbers(kernels, kind, x, f, o))
        expected = lanes.numbers(kind, x, factor, offset)
        np.testing.assert_array_equal(found, lanes.as_in_memory(kernels, expected), str(size))


@given(x=npst.arrays(np.float32, st.integers(1, 140), elements=FLOATS), factor=FLOATS, zero=st.integers(0, 255))
def test_any_floats_are_rounded_and_clipped_alike(kernels: Kernels, x: np.ndarray, factor: float, zero: int) -> None:
    factors, zeros = np.full_like(x, factor), np.full_like(x, zero)
    for kind in KINDS:
        found = lanes.on_every_variant(kernels, lambda kind=kind: found_numbers(kernels, kind, x, factors, zeros))
        expected = lanes.numbers(kind, x, factors, zeros)
        np.testing.assert_array_equal(found, lanes.as_in_memory(kernels, expected))


def test_extreme_floats_as_bytes(kernels: Kernels) -> None:
    ones, zeros = np.ones_like(EXTREMES), np.zeros_like(EXTREMES)
    found = lanes.on_every_variant(kernels, lambda: found_numbers(kernels, BYTES, EXTREMES, ones, zeros))
    expected = [0, 0, 0, 0, 0, 0, 2, 2, 0, 254, 255, 255, 255, 0, 255, 0, 255, 0, 255, 0, 255]
    np.testing.assert_array_equal(found, lanes.as_in_memory(kernels, np.array(expected, np.uint8)))


@pytest.mark.parametrize("kind", KINDS)
def test_extreme_floats_of_products(kernels: Kernels, kind: int) -> None:
    """Four vectors at a time, as products hand them on."""
    x = np.resize(EXTREMES[:-1], 64)
    for factor, zero in ((1, 0), (0.37, 128), (-2, 255), (1e30, 3)):

        def run(factor: float = factor, zero: float = zero) -> np.ndarray:
            to = np.zeros(64, TYPES[kind])
            assert kernels.call("simcse_testing_results", kind, x, np.array([factor, zero], np.float32), to) == 0
            return to

        expected = lanes.numbers(kind, x, factor, zero)
        np.testing.assert_array_equal(lanes.on_every_variant(kernels, run), lanes.as_in_memory(kernels, expected))


def test_transposition(kernels: Kernels) -> None:
    x = np.arange(256, dtype=np.int32).reshape(16, 16)

    def run() -> np.ndarray:
        to = x.copy()
        assert kernels.call("simcse_testing_transpose", to) == 0
        return to

    np.testing.assert_array_equal(lanes.on_every_variant(kernels, run), x.T)
