"""Rounded weights stay within what 16-bit sums of pairs can hold, and cost little."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from simcse_export.int8.rounding import round_weights, scales

Weights = NDArray[np.int64]


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def rounded(weight: torch.Tensor, activations: torch.Tensor) -> Weights:
    return round_weights(weight, activations.T @ activations, scales(weight)).numpy().astype(np.int64)


def nearest(weight: torch.Tensor) -> Weights:
    """As most quantizers have it: each row's largest weight becomes 127."""
    scale = weight.abs().amax(1, keepdim=True) / 127
    return (weight / scale).round().numpy().astype(np.int64)


def in_pairs(weights: Weights) -> NDArray[np.int64]:
    """[out, in] → [out, pairs, 2], the last one filled up with a zero."""
    padded = np.pad(weights, ((0, 0), (0, weights.shape[1] % 2)))
    return padded.reshape(len(weights), -1, 2)


def saturating_product(activations: NDArray[np.int64], weights: Weights) -> NDArray[np.int64]:
    """What x86's vpmaddubsw and vpmaddwd make of rows of activations, each with the weights of its own."""
    products = in_pairs(activations) * in_pairs(weights)
    return products.sum(2).clip(-(2**15), 2**15 - 1).sum(1)


def wrong_rows(weights: Weights) -> int:
    """How many rows the saturating kernel gets wrong, on the activations that are worst for each of them."""
    wrong = np.zeros(len(weights), bool)
    for sign in (1, -1):
        worst = np.where(sign * weights > 0, 255, 0)
        wrong |= saturating_product(worst, weights) != (worst * weights).sum(1)
    return int(wrong.sum())


def assert_within_limits(weights: Weights) -> None:
    assert np.abs(weights).max() <= 127
    pairs = in_pairs(weights)
    for part in (pairs.clip(min=0), pairs.clip(max=0)):
        assert np.abs(part.sum(2)).max() <= 128
    assert wrong_rows(weights) == 0


@pytest.mark.parametrize("columns", [1, 2, 3, 63, 64, 65, 130, 131])
@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_within_the_limits(columns: int, spread: float) -> None:
    # Neighbours of one sign and nearly one size are what the limit of pairs is for.
    weight = random(24, columns) * spread + torch.where(random(24, 1, seed=1) > 0, 1.0, -1.0)
    activations = random(50, columns, seed=2) @ random(columns, columns, seed=3)
    weights = rounded(weight, activations)
    assert_within_limits(weights)
    # Where the pairs stay clear of the limit there would be nothing to keep.
    assert columns == 1 or np.abs(in_pairs(weights).sum(2)).max() >= 127


@given(
    weight=hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 3), st.integers(1, 9)),
        elements=st.one_of(st.sampled_from([0.0, 1.0, -1.0, 0.5, 1e-20]), st.floats(-8, 8, width=32)),
    ),
    seed=st.integers(0, 100),
    tokens=st.integers(0, 12),
)
@example(weight=np.zeros((2, 3), np.float32), seed=0, tokens=0)
@example(weight=np.full((1, 2), 0.5, np.float32), seed=0, tokens=0)
@settings(max_examples=60)
def test_within_the_limits_whatever_the_weights(weight: NDArray[np.float32], seed: int, tokens: int) -> None:
    # Few tokens see no more than a few directions, or none at all.
    assert_within_limits(rounded(torch.from_numpy(weight), random(tokens, weight.shape[1], seed=seed)))


def test_plain_rounding_saturates() -> None:
    weight = random(32, 64)
    assert wrong_rows(nearest(weight)) > 0
    assert wrong_rows(rounded(weight, random(100, 64, seed=1))) == 0


@pytest.mark.parametrize("columns", [5, 6])
def test_the_least_scale(columns: int) -> None:
    weight = random(40, columns)
    pairs = in_pairs(weight.numpy())
    one_sign = (np.sign(pairs[..., 0]) == np.sign(pairs[..., 1]))[..., None]
    sums = np.where(one_sign[..., 0], np.abs(pairs.sum(2)), 0).max(1)
    largest = np.maximum(sums, np.abs(weight.numpy()).max(1))
    np.testing.assert_allclose(scales(weight).numpy() * 127, largest, rtol=1e-6)
    assert np.any(largest > sums)
    assert np.any(largest == sums)


def test_weights_of_nothing_stay_nothing() -> None:
    weight = torch.zeros(3, 7)
    assert bool((scales(weight) > 0).all())
    assert not rounded(weight, random(20, 7)).any()


def test_it_costs_less_than_rounding_each_weight_by_itself() -> None:
    # Correlated, of several blocks of columns, and some columns a hundred times as wide as others.
    activations = random(400, 12, seed=1) @ random(12, 200, seed=2) + 0.05 * random(400, 200, seed=3)
    activations *= (1.5 * random(200, seed=4)).exp()
    weight = random(48, 200)
    scale = scales(weight)[:, None]

    def error(integers: torch.Tensor) -> float:
        return float((activations @ (weight - integers * scale).T).square().mean())

    ours = round_weights(weight, activations.T @ activations, scale[:, 0])
    assert error(ours) < 0.005 * error((weight / scale).round())


def test_uncorrelated_activations_leave_nothing_to_gain() -> None:
    weight = random(8, 70)
    integers = round_weights(weight, torch.diag(torch.arange(1.0, 71.0)), scales(weight))
    np.testing.assert_array_equal(integers.numpy(), (weight / scales(weight)[:, None]).round().numpy())
