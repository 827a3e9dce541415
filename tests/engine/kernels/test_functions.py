"""The kernels' elementwise functions on dense grids: their errors are as engine/kernels/functions.h states."""

import math

import numpy as np
import pytest

from support import lanes
from support.kernels import Kernels

# Every 97th float between 2^-30 and 2^7, which covers all exponents and mantissas that matter; and their negatives.
_POSITIVE = np.arange(0x30800000, 0x43000000, 1999, dtype=np.uint32).view(np.float32)
GRID = np.concatenate([-_POSITIVE[::-1], np.zeros(1, np.float32), _POSITIVE])
EXTREMES = np.array(
    [0, -0.0, 1e-45, -1e-45, 1.2e-38, 1e-30, 88, -88, 126, -126, 1e9, -1e9, 3e38, -3e38, np.inf, -np.inf], np.float32
)


def exact_sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(x / 2))


def exact_gelu(x: np.ndarray) -> np.ndarray:
    # By erfc, which keeps its relative precision where the result is small.
    return 0.5 * x * np.vectorize(math.erfc, otypes=[np.float64])(-x / math.sqrt(2))


EXACT = {
    "sigmoid": exact_sigmoid,
    "tanh": np.tanh,
    "gelu": exact_gelu,
    "activation gelu": exact_gelu,
    "activation gelu_tanh": lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "activation quick_gelu": lambda x: x * exact_sigmoid(1.702 * x),
    "activation silu": lambda x: x * exact_sigmoid(x),
    "activation relu": lambda x: np.maximum(x, 0),
    "activation tanh": np.tanh,
}


def on_grid(kernels: Kernels, name: str, x: np.ndarray) -> np.ndarray:
    return lanes.on_every_variant(kernels, lambda: lanes.function(kernels, name, x)).astype(np.float64)


def test_powers_of_two(kernels: Kernels) -> None:
    x = np.concatenate([GRID[(GRID > -125) & (GRID < 126)], np.linspace(-1, 1, 20_001, dtype=np.float32)])
    exact = np.exp2(x.astype(np.float64))
    assert np.abs(on_grid(kernels, "exp2", x) / exact - 1).max() < 2e-7
    factor = np.float32(0.18033688)
    found = lanes.on_every_variant(kernels, lambda: lanes.function(kernels, "exp2", x, factor)).astype(np.float64)
    assert np.abs(found / np.exp2(x.astype(np.float64) * factor) - 1).max() < 2e-7
    whole = np.arange(-125, 127, dtype=np.float32)
    assert (on_grid(kernels, "exp2", whole) == np.exp2(whole)).all(), "whole powers are exact: a largest weight is 1"


def test_powers_of_two_in_two_bytes(kernels: Kernels) -> None:
    x = np.linspace(-20, 0, 100_001, dtype=np.float32)
    exact = 65_280 * np.exp2(x.astype(np.float64))
    assert (np.abs(on_grid(kernels, "weights", x) - exact) <= 0.5 + 1.1e-4 * exact).all()


@pytest.mark.parametrize(("name", "bound"), [("sigmoid", 2e-7), ("tanh", 1.5e-7)])
def test_functions_of_limited_range(kernels: Kernels, name: str, bound: float) -> None:
    assert np.abs(on_grid(kernels, name, GRID) - EXACT[name](GRID.astype(np.float64))).max() < bound


@pytest.mark.parametrize("name", [name for name in EXACT if "activation" in name or name == "gelu"])
def test_activations(kernels: Kernels, name: str) -> None:
    x = GRID.astype(np.float64)
    error = np.abs(on_grid(kernels, name, GRID) - EXACT[name](x))
    if name.endswith("gelu") and "quick" not in name:
        assert (error <= 1.5e-7 + 6e-8 * np.abs(x)).all()  # half a last bit of x
    assert (error <= 4e-7 * np.maximum(np.abs(x), 1)).all()


def test_rough_gelu(kernels: Kernels) -> None:
    x = GRID.astype(np.float64)
    error = np.abs(on_grid(kernels, "rough_gelu", GRID) - exact_gelu(x))
    assert (error <= np.maximum(1.9e-4, 1.6e-5 * np.abs(x))).all()


@pytest.mark.parametrize("name", ["rough_gelu", *EXACT])
def test_extreme_values_have_no_extreme_results(kernels: Kernels, name: str) -> None:
    finite = np.abs(EXTREMES) < 1e30
    with np.errstate(invalid="ignore", over="ignore"):
        found = on_grid(kernels, name, EXTREMES)
    assert np.isfinite(found[finite]).all()
    x = EXTREMES[finite].astype(np.float64)
    assert (np.abs(found[finite]) <= np.abs(x) * (1 + 2e-4) + 1).all()
    on_grid(kernels, name, np.full(16, np.nan, np.float32))  # and no variant differs
