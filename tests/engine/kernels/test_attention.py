"""Attention of one head, against NumPy: to the bit, and within what its numbers' roundings allow."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import lanes
from support.kernels import Kernels
from support.lanes import BYTES, KINDS, PAIRS, SINGLES, TYPES
from support.layers import attended

ALPHA = np.float32(0.18)
STEP = np.array([20, 117], np.float32)


def operands(queries: int, tokens: int, size: int, scale: float = 1) -> list[np.ndarray]:
    """Queries, keys and values [n, size]."""
    rng = np.random.default_rng([queries, tokens, size])
    return [(rng.normal(size=(n, size)) * scale).astype(np.float32) for n in (queries, tokens, tokens)]


def biases(tokens: int, scale: float = 20) -> np.ndarray:
    """What is added by distance, float32 [2 · tokens - 1]."""
    return (np.random.default_rng(tokens).normal(size=2 * tokens - 1) * scale).astype(np.float32)


def attend(
    kernels: Kernels,
    kind: int,
    result: int,
    operands: list[np.ndarray],
    alpha: np.float32 = ALPHA,
    bias: np.ndarray | None = None,
) -> np.ndarray:
    """The kernels' attention, [queries, size], on every variant."""
    # Whole vectors are read; what lies beyond is nobody's.
    wide = None if bias is None else np.concatenate([bias, np.full(lanes.LANES, np.nan, np.float32)])
    q, k, v = (np.ascontiguousarray(lanes.padded(x)) for x in operands)
    head = q.shape[1]

    def run() -> np.ndarray:
        to = np.zeros((len(q), head), TYPES[result])
        scale = np.array([alpha], np.float32)
        arguments = (kind, result, q, len(q), k, v, len(k), head, scale, wide, len(k) - 1, STEP, to)
        assert kernels.call("simcse_testing_attend", *arguments) == 0
        return np.ascontiguousarray(to[:, : operands[0].shape[1]])

    return lanes.on_every_variant(kernels, run)


@pytest.mark.parametrize(("kind", "result"), [(BYTES, BYTES), (BYTES, SINGLES), (PAIRS, PAIRS), (SINGLES, SINGLES)])
@pytest.mark.parametrize("size", [1, 2, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 80])
def test_heads_of_every_size(kernels: Kernels, kind: int, result: int, size: int) -> None:
    for tokens, queries in ((1, 1), (2, 2), (7, 7), (16, 16), (17, 1), (33, 13)):
        given = operands(queries, tokens, size)
        expected = lanes.numbers(result, attended(kernels, kind, *given, ALPHA), *STEP)
        found = attend(kernels, kind, result, given)
        np.testing.assert_array_equal(found, lanes.as_in_memory(kernels, expected), f"{tokens} tokens")


@given(
    kind=st.sampled_from(KINDS),
    queries=st.integers(1, 20),
    tokens=st.integers(1, 150),
    size=st.integers(1, 100),
    scale=st.sampled_from([0, 1e-3, 1, 30]),
    biased=st.booleans(),
)
def test_heads_and_sentences_of_any_length(
    kernels: Kernels, kind: int, queries: int, tokens: int, size: int, scale: float, biased: bool
) -> None:
    given = operands(min(queries, tokens), tokens, size, scale)
    bias = biases(tokens) if biased else None
    expected = attended(kernels, kind, *given, ALPHA, bias)
    np.testing.assert_array_equal(attend(kernels, kind, SINGLES, given, bias=bias), expected)


@pytest.mark.parametrize("biased", [False, True], ids=["plain", "biased"])
@pytest.mark.parametrize(("kind", "bound"), [(BYTES, 0.04), (PAIRS, 0.03), (SINGLES, 3e-6)])
def test_attention_is_what_the_formula_says(kernels: Kernels, kind: int, bound: float, biased: bool) -> None:
    for tokens in (1, 5, 64, 300):
        q, k, v = operands(min(9, tokens), tokens, 64)
        bias = biases(tokens) if biased else None
        scores = q.astype(np.float64) @ k.T
        for i in range(len(q) if biased else 0):
            scores[i] += biases(tokens)[tokens - 1 - i : 2 * tokens - 1 - i]
        scores *= ALPHA
        weights = np.exp2(scores - scores.max(axis=1, keepdims=True))
        exact = weights @ v.astype(np.float64) / weights.sum(axis=1, keepdims=True)
        assert np.abs(attend(kernels, kind, SINGLES, [q, k, v], bias=bias) - exact).max() < bound


def test_scores_that_are_far_apart_or_huge_choose_one_token(kernels: Kernels) -> None:
    q, k, v = operands(3, 20, 32)
    q[...], k[...] = 1e3, -1e3
    k[7] = 1e3
    for kind, bound in ((BYTES, 0.01), (PAIRS, 0.01), (SINGLES, 1e-6)):
        found = attend(kernels, kind, SINGLES, [q, k, v])
        np.testing.assert_allclose(found, np.tile(v[7], (3, 1)), atol=bound)


@pytest.mark.parametrize("kind", KINDS)
def test_queries_of_zeros_choose_all_tokens_alike(kernels: Kernels, kind: int) -> None:
    """As heads that were pruned from a checkpoint do."""
    for tokens in (1, 5, 16, 20):
        q, k, v = operands(1, tokens, 32)
        found = attend(kernels, kind, SINGLES, [np.zeros_like(q), k, v])
        np.testing.assert_allclose(found, v.mean(axis=0)[None], atol=0.02)
        # Biases alone choose, too.
        bias = np.where(np.arange(2 * tokens - 1) == 2 * tokens - 2, 200, 0).astype(np.float32)
        found = attend(kernels, kind, SINGLES, [np.zeros_like(q), k, v], bias=bias)
        np.testing.assert_allclose(found, v[-1:], atol=0.02)


def test_scores_beyond_floats_end_nothing(kernels: Kernels) -> None:
    q, k, v = operands(3, 20, 32, 1e25)
    for kind in KINDS:
        assert attend(kernels, kind, kind, [q, k, v]).shape == (3, 32)
