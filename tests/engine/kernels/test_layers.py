"""Whole layers against NumPy layers of the same roundings: equal to the bit, in any company, on any threads."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import lanes
from support.kernels import Kernels, by_turns
from support.lanes import BYTES, PAIRS, SINGLES
from support.layers import Layer, random_layer

# What the operators are: kind, and whether only first tokens come out.
OPERATORS = [(BYTES, False), (BYTES, True), (PAIRS, False), (PAIRS, True), (SINGLES, False), (SINGLES, True)]


def states(layer: Layer, lengths: list[int]) -> np.ndarray:
    rng = np.random.default_rng(lengths)
    return rng.normal(size=(sum(lengths), layer.hidden)).astype(np.float32)


def check(kernels: Kernels, layer: Layer, lengths: list[int], threads: int = 1) -> None:
    given = states(layer, lengths)
    found = lanes.on_every_variant(kernels, lambda: layer.run(kernels, given, lengths, threads))
    np.testing.assert_array_equal(found, layer.reference(kernels, given, lengths))


# Heads that fill their group, that leave places of the last group empty, that are padded, and wider than a panel.
SHAPES = [
    (1, 1, 1),
    (6, 3, 10),
    (32, 4, 64),
    (48, 3, 65),
    (34, 2, 17),
    (60, 5, 100),
    (80, 1, 33),
    (96, 2, 130),
    (160, 2, 64),
]


@pytest.mark.parametrize(("kind", "first_only"), OPERATORS)
@pytest.mark.parametrize(("hidden", "heads", "features"), SHAPES)
def test_layers_of_many_shapes(
    kernels: Kernels, kind: int, first_only: bool, hidden: int, heads: int, features: int
) -> None:
    layer = random_layer(kind, hidden, heads, features, first_only=first_only)
    check(kernels, layer, [3, 1, 12, 2])


@pytest.mark.parametrize(("kind", "first_only"), OPERATORS)
@pytest.mark.parametrize("activation", lanes.ACTIVATIONS)
def test_every_activation(kernels: Kernels, kind: int, first_only: bool, activation: str) -> None:
    check(kernels, random_layer(kind, 24, 3, 40, first_only=first_only, activation=activation), [5, 8])


@given(
    operator=st.sampled_from(OPERATORS),
    heads=st.integers(1, 6),
    size=st.integers(1, 24),
    features=st.integers(1, 90),
    lengths=st.lists(st.integers(1, 20), min_size=1, max_size=6),
    threads=st.integers(1, 4),
    longest=st.sampled_from([0, 20, 33]),
)
def test_layers_of_any_shape_on_any_number_of_threads(
    kernels: Kernels,
    operator: tuple[int, bool],
    heads: int,
    size: int,
    features: int,
    lengths: list[int],
    threads: int,
    longest: int,
) -> None:
    kind, first_only = operator
    layer = random_layer(kind, heads * size, heads, features, first_only=first_only, longest=longest)
    check(kernels, layer, lengths, threads)


@pytest.mark.parametrize("longest", [0, 90], ids=["plain", "biased"])
@pytest.mark.parametrize(("kind", "first_only"), OPERATORS)
def test_company_and_threads_change_no_bit(kernels: Kernels, kind: int, first_only: bool, longest: int) -> None:
    """Also where each thread takes whole tiles, and a sentence longer than a tile."""
    layer = random_layer(kind, 48, 3, 65, first_only=first_only, longest=longest)
    lengths = [*range(1, 40), 90, 64, 1, 63, 65, *range(30, 1, -1)]
    given = states(layer, lengths)
    together = layer.run(kernels, given, lengths)
    for threads in by_turns((2, 3, 8), kind + first_only):
        np.testing.assert_array_equal(layer.run(kernels, given, lengths, threads), together)
    ends = np.cumsum(lengths)
    for s in (0, 5, 39, 40, len(lengths) - 1):
        start = ends[s] - lengths[s]
        own = slice(s, s + 1) if first_only else slice(start, ends[s])
        alone = layer.run(kernels, given[start : ends[s]], lengths[s : s + 1])
        np.testing.assert_array_equal(together[own], alone)


@pytest.mark.parametrize(("kind", "first_only"), OPERATORS)
def test_states_of_any_size_end_nothing(kernels: Kernels, kind: int, first_only: bool) -> None:
    layer = random_layer(kind, 48, 3, 65, first_only=first_only, longest=20)
    for scale in (0, 1e-15, 1e6, 1e30):
        given = states(layer, [4, 20]) * np.float32(scale)
        found = lanes.on_every_variant(kernels, lambda given=given: layer.run(kernels, given, [4, 20], 2))
        if scale < 1e20:
            assert np.isfinite(found).all()
    given = states(layer, [4, 20])
    given[:4] = np.nan
    found = layer.run(kernels, given, [4, 20])
    others = layer.run(kernels, states(layer, [4, 20]), [4, 20])
    np.testing.assert_array_equal(found[1 if first_only else 4 :], others[1 if first_only else 4 :])


def test_a_run_without_sentences_is_no_error(kernels: Kernels) -> None:
    for kind, first_only in OPERATORS:
        layer = random_layer(kind, 8, 2, 9, first_only=first_only)
        for threads in (1, 4):
            assert layer.run(kernels, np.zeros((0, 8), np.float32), [], threads).shape == (0, 8)


def test_lengths_that_do_not_add_up_are_refused(kernels: Kernels) -> None:
    layer = random_layer(SINGLES, 8, 2, 9)
    for lengths in ([0], [3, 0], [5, -1], [2**62, -(2**62), 4]):
        with pytest.raises(ValueError, match="refused"):
            layer.run(kernels, np.zeros((4, 8), np.float32), lengths)


def test_constants_that_do_not_fit_are_refused(kernels: Kernels) -> None:
    layer = random_layer(BYTES, 8, 2, 9)
    layer.heads = 3
    with pytest.raises(ValueError, match="refused"):
        layer.run(kernels, np.zeros((4, 8), np.float32), [4])


@pytest.mark.parametrize(("kind", "first_only"), OPERATORS)
def test_memory_that_ends_is_an_error_and_leaks_nothing(kernels: Kernels, kind: int, first_only: bool) -> None:
    layer = random_layer(kind, 24, 3, 40, first_only=first_only, longest=9)
    given = states(layer, [5, 8])
    before = kernels.call("simcse_testing_allocations", 2**62)
    failed = 0
    while failed < 200:
        kernels.call("simcse_testing_allocations", failed)
        try:
            layer.run(kernels, given, [5, 8])
            break
        except MemoryError:
            failed += 1
        finally:
            kernels.call("simcse_testing_allocations", 2**62)
    assert 20 < failed < 200
    assert kernels.call("simcse_testing_allocations", 2**62) == before
