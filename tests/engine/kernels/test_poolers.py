"""The last states to sentences' vectors, against NumPy to the bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import lanes
from support.kernels import Kernels
from support.lanes import LANES, PANEL, SINGLES

LENGTHS = [1, 5, 2, 31]
# In the order of the kernels' own numbers.
POOLERS = ("first", "mean", "max", "mean_sqrt_len", "weightedmean", "lasttoken")


def pool(
    kernels: Kernels,
    states: np.ndarray,
    lengths: list[int],
    *,
    pooler: str = "mean",
    other: np.ndarray | None = None,
    head: tuple[np.ndarray, np.ndarray] | None = None,
    dimension: int,
    normalize: bool = False,
) -> np.ndarray:
    """The kernels' vectors on every variant; states are [tokens, hidden], or [sentences, hidden] for "first"."""
    hidden = states.shape[1]
    width = -(-hidden // PANEL) * PANEL
    sizes = [
        POOLERS.index(pooler),
        normalize,
        head is not None,
        width,
        hidden if head else dimension,
        dimension,
        len(lengths),
        sum(lengths),
    ]

    def wide(x: np.ndarray) -> np.ndarray:
        rows = np.full((len(x), width), np.nan, np.float32)
        rows[:, : -(-hidden // LANES) * LANES] = lanes.padded(x)
        return rows

    def run() -> np.ndarray:
        to = np.full((len(lengths), dimension), np.nan, np.float32)
        constants = head or (None, None)
        others = None if other is None else wide(other)
        arguments = (np.array(sizes, np.int64), *constants, np.array(lengths, np.int64), wide(states), others, to)
        assert kernels.call("simcse_testing_pooling", *arguments) == 0
        return to

    return lanes.on_every_variant(kernels, run)


def joined(rows: np.ndarray, pooler: str) -> np.ndarray:
    """A sentence's rows as one."""
    if pooler in ("max", "lasttoken"):
        return rows.max(0) if pooler == "max" else rows[-1]
    places = np.arange(1, len(rows) + 1, dtype=np.float32)
    total = np.zeros(rows.shape[1], np.float32)
    for row, place in zip(rows, places, strict=True):
        total = total + (row * place if pooler == "weightedmean" else row)
    count = np.float32(len(rows))
    return total / {"mean": count, "mean_sqrt_len": np.sqrt(count), "weightedmean": places.sum()}[pooler]


def reference(
    kernels: Kernels,
    states: np.ndarray,
    lengths: list[int],
    *,
    pooler: str = "mean",
    other: np.ndarray | None = None,
    head: tuple[np.ndarray, np.ndarray] | None = None,
    dimension: int,
    normalize: bool = False,
) -> np.ndarray:
    x = states if other is None or pooler == "first" else (states + other) * np.float32(0.5)
    if pooler != "first":
        x = np.vstack(
            [joined(x[end - count : end], pooler) for count, end in zip(lengths, np.cumsum(lengths), strict=True)]
        )
    if head is not None:
        x = lanes.function(kernels, "tanh", lanes.product(SINGLES, x, *head))
    x = np.ascontiguousarray(x[:, :dimension])
    if not normalize:
        return x
    rows = lanes.padded(x)
    squares = lanes.total(lambda s, at: lanes.fma(rows[:, at], rows[:, at], s), (len(x),), dimension)
    return x / np.maximum(np.sqrt(squares), np.float32(1e-12))[:, None]


@pytest.mark.parametrize("hidden", [1, 15, 16, 17, 63, 64, 65, 130])
@pytest.mark.parametrize("normalize", [False, True])
def test_every_pooler(kernels: Kernels, hidden: int, normalize: bool) -> None:
    rng = np.random.default_rng(hidden)
    states, other = rng.normal(size=(2, sum(LENGTHS), hidden)).astype(np.float32)
    weight, bias = (rng.normal(size=size).astype(np.float32) / 8 for size in ((hidden, hidden), hidden))
    for dimension in {1, (hidden + 1) // 2, hidden}:
        for head in (None, (weight, bias)):
            settings = {"head": head, "dimension": dimension, "normalize": normalize}
            for two in (None, other):
                found = pool(kernels, states, LENGTHS, other=two, **settings)
                np.testing.assert_array_equal(found, reference(kernels, states, LENGTHS, other=two, **settings))
            for pooler in POOLERS:
                rows = states[: len(LENGTHS)] if pooler == "first" else states
                found = pool(kernels, rows, LENGTHS, pooler=pooler, **settings)
                np.testing.assert_array_equal(found, reference(kernels, rows, LENGTHS, pooler=pooler, **settings))


@given(
    hidden=st.integers(1, 150),
    part=st.floats(0, 1),
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=20),
    scale=st.sampled_from([0, 1e-30, 1, 1e15]),
)
def test_vectors_have_unit_length_or_are_zero(
    kernels: Kernels, hidden: int, part: float, lengths: list[int], scale: float
) -> None:
    dimension = 1 + int(part * (hidden - 1))
    states = (np.random.default_rng(hidden).normal(size=(sum(lengths), hidden)) * scale).astype(np.float32)
    found = pool(kernels, states, lengths, dimension=dimension, normalize=True)
    np.testing.assert_array_equal(found, reference(kernels, states, lengths, dimension=dimension, normalize=True))
    expected = 0 if scale < 1e-20 else 1
    np.testing.assert_allclose(np.linalg.norm(found.astype(np.float64), axis=1), expected, atol=1e-6)
