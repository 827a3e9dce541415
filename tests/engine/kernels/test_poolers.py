"""The last states to sentences' vectors, against NumPy to the bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import lanes
from support.kernels import Kernels
from support.lanes import LANES, PANEL, SINGLES

LENGTHS = [1, 5, 2, 31]


def pool(
    kernels: Kernels,
    states: np.ndarray,
    lengths: list[int],
    *,
    first: bool = False,
    other: np.ndarray | None = None,
    head: tuple[np.ndarray, np.ndarray] | None = None,
    dimension: int,
    normalize: bool = False,
) -> np.ndarray:
    """The kernels' vectors on every variant; states are [tokens, hidden], or [sentences, hidden] where ``first``."""
    hidden = states.shape[1]
    width = -(-hidden // PANEL) * PANEL
    sizes = [
        first,
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


def reference(
    kernels: Kernels,
    states: np.ndarray,
    lengths: list[int],
    *,
    first: bool = False,
    other: np.ndarray | None = None,
    head: tuple[np.ndarray, np.ndarray] | None = None,
    dimension: int,
    normalize: bool = False,
) -> np.ndarray:
    x = states if other is None or first else (states + other) * np.float32(0.5)
    if not first:
        averages = []
        for s, end in enumerate(np.cumsum(lengths)):
            total = np.zeros(x.shape[1], np.float32)
            for row in x[end - lengths[s] : end]:
                total = total + row
            averages.append(total / np.float32(lengths[s]))
        x = np.vstack(averages)
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
            firsts = states[: len(LENGTHS)]
            found = pool(kernels, firsts, LENGTHS, first=True, **settings)
            np.testing.assert_array_equal(found, reference(kernels, firsts, LENGTHS, first=True, **settings))


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
