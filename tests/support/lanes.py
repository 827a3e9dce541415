"""The kernels' arithmetic in NumPy, to the bit: fused multiply-adds, sums of sixteen lanes, numbers of products.

Functions of one variable (2^x, GELU …) are the kernels' own, by `function`: tests/engine/kernels/test_functions.py
holds them against exact values.
"""

from collections.abc import Callable

import numpy as np

from support.kernels import Kernels

LANES, PANEL = 16, 64
BYTES, PAIRS, SINGLES = 0, 1, 2
KINDS = (BYTES, PAIRS, SINGLES)
TYPES = (np.uint8, np.uint16, np.float32)

# By their places in the kernels' table; activations follow.
FUNCTIONS = ("exp2", "sigmoid", "tanh", "gelu", "rough_gelu", "weights")
ACTIVATIONS = ("gelu", "gelu_tanh", "quick_gelu", "silu", "relu", "tanh")


def variants(kernels: Kernels) -> list[str]:
    """The variants that the CPU can run, best first."""
    return [name for name in kernels.text("simcse_kernels_variants").split(",") if name]


def on_every_variant(kernels: Kernels, run: Callable[[], np.ndarray]) -> np.ndarray:
    """What ``run`` returns, which must have the same bits on each variant."""
    names = variants(kernels)
    results = []
    try:
        for name in names:
            assert kernels.call("simcse_kernels_select", name.encode()) == 0
            results.append(run())
    finally:
        kernels.call("simcse_kernels_select", names[0].encode())
    for name, result in zip(names, results, strict=True):
        same = np.frombuffer(result.tobytes(), np.uint8) == np.frombuffer(results[0].tobytes(), np.uint8)
        assert same.all(), f"{name} differs from {names[0]}"
    return results[0]


def function(kernels: Kernels, name: str, x: np.ndarray, factor: float = 1) -> np.ndarray:
    """A function of the kernels, float32 of any shape; exp2 and weights take a factor; "activation NAME"."""
    if name.startswith("activation "):
        place = len(FUNCTIONS) + ACTIVATIONS.index(name.removeprefix("activation "))
    else:
        place = FUNCTIONS.index(name)
    padded = np.zeros(-(-x.size // LANES) * LANES, np.float32)
    padded[: x.size] = x.ravel()
    y = np.empty_like(padded)
    assert kernels.call("simcse_testing_function", place, padded, padded.size, np.array([factor], np.float32), y) == 0
    return y[: x.size].reshape(x.shape)


def fma(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """a * b + c in float32, rounded once."""
    with np.errstate(all="ignore"):
        product = np.multiply(a, b, dtype=np.float64)  # exact
        total = np.asarray(product + np.asarray(c, np.float64))
        back = total - product
        error = (product - (total - back)) + (c - back)
        # Rounded to odd, so that rounding to float32 sees which side of a half the exact sum is on.
        even = (total.view(np.int64) & 1) == 0
        towards = np.where(error > 0, np.inf, -np.inf)
        total = np.where(np.isfinite(error) & (error != 0) & even, np.nextafter(total, towards), total)
        return total.astype(np.float32)


def lane_sum(x: np.ndarray) -> np.ndarray:
    """Sums over a last axis of sixteen, in halves."""
    for half in (8, 4, 2, 1):
        x = x[..., :half] + x[..., half:]
    return x[..., 0]


def total(term: Callable[[np.ndarray, slice], np.ndarray], shape: tuple[int, ...], size: int) -> np.ndarray:
    """Four sums of lanes that take turns: ``term`` adds the lanes of a slice to a sum."""
    sums = [np.zeros((*shape, LANES), np.float32) for _ in range(4)]
    for place, start in enumerate(range(0, size, LANES)):
        sums[place % 4] = term(sums[place % 4], slice(start, start + LANES))
    return lane_sum((sums[0] + sums[1]) + (sums[2] + sums[3]))


def padded(x: np.ndarray, unit: int = LANES, value: float = 0) -> np.ndarray:
    """The last axis, filled up to whole units."""
    return np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, -x.shape[-1] % unit)], constant_values=value)


def to_bytes(steps: np.ndarray) -> np.ndarray:
    """Floats in steps to uint8: to even, clipped, NaN to 255. The kernels of ARM keep them less 128."""
    with np.errstate(invalid="ignore"):
        return np.maximum(np.rint(np.where(steps < 255, steps, np.float32(255))), 0).astype(np.uint8)


def bfloat16(x: np.ndarray) -> np.ndarray:
    """The upper halves of floats, rounded to even, as uint16."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def widened(halves: np.ndarray) -> np.ndarray:
    """bfloat16, as uint16, to float32."""
    return (halves.astype(np.uint32) << 16).view(np.float32)


def numbers(kind: int, x: np.ndarray, factor: np.ndarray | float = 1, offset: np.ndarray | float = 0) -> np.ndarray:
    """Floats as the numbers of a product; ``factor`` and ``offset`` are for bytes alone."""
    if kind == BYTES:
        return to_bytes(fma(x, np.float32(factor), np.float32(offset)))
    return bfloat16(x) if kind == PAIRS else x


def product(kind: int, rows: np.ndarray, weights: np.ndarray, start: np.ndarray | int, zero: int = 0) -> np.ndarray:
    """Sums of rows [n, inputs] by weights [inputs, outputs]: of bytes less ``zero``, else in the kernels' order."""
    if kind == BYTES:
        return (rows.astype(np.int64) - zero) @ weights.astype(np.int64)
    rows, weights = (widened(rows), widened(weights)) if kind == PAIRS else (rows, weights)
    inputs = rows.shape[1]
    sums = np.broadcast_to(np.float32(start), (len(rows), weights.shape[1]))
    order = range(inputs) if kind == SINGLES else [k for pair in range(0, inputs, 2) for k in (pair + 1, pair)]
    for k in order:
        if k < inputs:
            sums = fma(rows[:, k, None], weights[k], sums)
    return sums


def as_in_memory(kernels: Kernels, values: np.ndarray) -> np.ndarray:
    """Unsigned bytes as the variants of this CPU keep them: those of ARM less 128."""
    arm = not set(variants(kernels)).isdisjoint({"dotprod", "i8mm"})
    return values ^ np.uint8(128) if arm and values.dtype == np.uint8 else values
