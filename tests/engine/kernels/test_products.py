"""Packed weights and products, against NumPy, at all edges of the tiles."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import lanes
from support.kernels import Kernels, by_turns
from support.lanes import BYTES, KINDS, PAIRS, PANEL, SINGLES, TYPES

FLOATS, SUM, GELU, ACTIVATED = 0, 1, 2, 3
INPUTS = [*range(1, 10), 15, 16, 17, 63, 64, 65, 127, 129]
OUTPUTS = [1, 15, 16, 17, 32, 33, 48, 49, 63, 64, 65, 129]
MOST_ROWS = 13


@dataclass
class Case:
    """A product: rows of numbers by a linear layer, and what follows."""

    kind: int
    rows: np.ndarray  # [n, inputs] of TYPES[kind]
    weights: np.ndarray  # [inputs, outputs]; bytes are signed
    scale: np.ndarray
    bias: np.ndarray
    zero: int = 0
    step: tuple[float, float, float] = (1, 0, 1)  # factor and zero of the result, scale of the input

    def run(self, kernels: Kernels, rows: int | None = None, after: int = FLOATS, late: bool = False) -> np.ndarray:
        """The kernels' result, [rows, outputs]."""
        count = len(self.rows) if rows is None else rows
        outputs = self.weights.shape[1]
        stride = -(-outputs // PANEL) * PANEL
        kind = SINGLES if late or after < GELU else self.kind
        to = np.zeros((count, stride), TYPES[kind])
        rows_in_memory = lanes.as_in_memory(kernels, self.rows)
        layer = (*self.weights.shape, self.weights, self.scale, self.bias, self.zero)
        step = np.array(self.step, np.float32)
        following = (after, late, self.residual(stride), None, stride, step, to)
        status = kernels.call("simcse_testing_multiply", self.kind, rows_in_memory, count, *layer, *following)
        assert status == 0
        return np.ascontiguousarray(to[:, :outputs])

    def narrowed(self, outputs: int) -> "Case":
        """The product of the first columns alone."""
        weights = np.ascontiguousarray(self.weights[:, :outputs])
        return replace(self, weights=weights, scale=self.scale[:outputs], bias=self.bias[:outputs])

    def residual(self, stride: int) -> np.ndarray:
        return np.random.default_rng(7).normal(size=(len(self.rows), stride)).astype(np.float32)

    def values(self) -> np.ndarray:
        """The layer's values in NumPy, to the bit."""
        if self.kind != BYTES:
            return lanes.product(self.kind, self.rows, self.weights, self.bias)
        sums = lanes.product(BYTES, self.rows, self.weights, 0, self.zero).astype(np.float32)
        return lanes.fma(sums, self.scale * np.float32(self.step[2]), self.bias)


def weights_of_bytes(rng: np.random.Generator, inputs: int, outputs: int) -> np.ndarray:
    """Any whose neighbours multiply exactly on CPUs without VNNI, the extremes among them."""
    weights = rng.integers(-128, 128, (inputs, outputs)).astype(np.int16)
    first, second = weights[0 : inputs // 2 * 2 : 2], weights[1::2]
    limit = np.where(first > 0, 128, -128) - first
    second[...] = np.where(
        first * second > 0, np.where(first > 0, np.minimum(second, limit), np.maximum(second, limit)), second
    )
    return weights.astype(np.int8)


def case(kind: int, count: int, inputs: int, outputs: int, seed: int = 0) -> Case:
    rng = np.random.default_rng([kind, inputs, outputs, seed])
    scale, bias = rng.normal(size=(2, outputs)).astype(np.float32)
    if kind == BYTES:
        rows = rng.choice([0, 1, 127, 128, 254, 255], (count, inputs)).astype(np.uint8)
        zero = int(rng.integers(256))
        return Case(kind, rows, weights_of_bytes(rng, inputs, outputs), scale, bias, zero, (7.5, 101, 0.25))
    rows, weights = rng.normal(size=(count, inputs)), rng.normal(size=(inputs, outputs))
    return Case(
        kind, lanes.numbers(kind, rows.astype(np.float32)), lanes.numbers(kind, weights.astype(np.float32)), scale, bias
    )


@pytest.mark.parametrize("kind", KINDS)
def test_products_at_all_edges_of_tiles(kernels: Kernels, kind: int) -> None:
    for place, inputs in enumerate(INPUTS):
        widest = case(kind, MOST_ROWS, inputs, max(OUTPUTS))
        values = widest.values()
        for turn, outputs in enumerate(OUTPUTS, place):
            it, expected = widest.narrowed(outputs), values[:, :outputs]
            for rows in by_turns(range(1, MOST_ROWS + 1), turn):
                found = lanes.on_every_variant(kernels, lambda it=it, rows=rows: it.run(kernels, rows))
                np.testing.assert_array_equal(
                    found, expected[:rows], f"{rows} rows, {inputs} inputs, {outputs} outputs"
                )


@pytest.mark.parametrize("kind", [PAIRS, SINGLES])
def test_products_of_floats_err_as_little_as_sums_one_by_one_may(kernels: Kernels, kind: int) -> None:
    for inputs in (1, 7, 64, 129, 768):
        it = case(kind, MOST_ROWS, inputs, 65)
        rows, weights = (lanes.widened(x) if kind == PAIRS else x for x in (it.rows, it.weights))
        exact = rows.astype(np.float64) @ weights + it.bias
        bound = inputs * 2.0**-24 * (np.abs(rows).astype(np.float64) @ np.abs(weights) + np.abs(it.bias))
        assert (np.abs(it.run(kernels) - exact) <= bound).all()


@pytest.mark.parametrize("kind", KINDS)
def test_what_follows_a_product(kernels: Kernels, kind: int) -> None:
    for outputs in (1, 17, 64, 100):
        it = case(kind, MOST_ROWS, 40, outputs)
        values = it.values()

        def run(after: int, late: bool = False, it: Case = it) -> np.ndarray:
            return lanes.on_every_variant(kernels, lambda: it.run(kernels, after=after, late=late))

        np.testing.assert_array_equal(run(SUM), values + it.residual(-(-outputs // PANEL) * PANEL)[:, :outputs])
        names = ["rough_gelu" if kind == BYTES else "gelu", *(f"activation {name}" for name in lanes.ACTIVATIONS)]
        for place, name in enumerate(names):
            expected = lanes.numbers(kind, lanes.function(kernels, name, values), *it.step[:2])
            np.testing.assert_array_equal(run(GELU + place), lanes.as_in_memory(kernels, expected), name)
        if kind == BYTES:
            np.testing.assert_array_equal(run(GELU, late=True), lanes.function(kernels, "gelu", values))
            np.testing.assert_array_equal(
                run(ACTIVATED + 3, late=True), lanes.function(kernels, "activation silu", values)
            )


def test_a_sum_may_take_other_rows(kernels: Kernels) -> None:
    it = case(SINGLES, 5, 9, 30)
    residual = it.residual(PANEL)
    from_rows = np.array([4, 0, 3, 1, 1], np.int32)

    def run() -> np.ndarray:
        to = np.zeros((5, PANEL), np.float32)
        step = np.ones(3, np.float32)
        assert not kernels.call(
            "simcse_testing_multiply", SINGLES, it.rows, 5, 9, 30, it.weights, it.scale, it.bias, 0, SUM, 0, residual,
            from_rows, PANEL, step, to,
        )  # fmt: skip
        return np.ascontiguousarray(to[:, :30])

    np.testing.assert_array_equal(lanes.on_every_variant(kernels, run), it.values() + residual[from_rows, :30])


@given(
    kind=st.sampled_from(KINDS),
    shape=st.tuples(st.integers(1, 30), st.integers(1, 200), st.integers(1, 200)),
    seed=st.integers(0, 99),
)
def test_products_of_any_shape(kernels: Kernels, kind: int, shape: tuple[int, int, int], seed: int) -> None:
    it = case(kind, *shape, seed=seed)
    np.testing.assert_array_equal(lanes.on_every_variant(kernels, lambda: it.run(kernels)), it.values())


@pytest.mark.parametrize(
    ("row", "low", "high"), [(255, -128, 0), (255, 64, 64), (255, -64, -64), (255, 127, 1), (0, -64, -64)]
)
def test_bytes_at_their_extremes_are_exact(kernels: Kernels, row: int, low: int, high: int) -> None:
    inputs = 4096
    weights = np.tile(np.array([[low], [high]], np.int8), (inputs // 2, 33))
    for zero in (0, 255):
        rows = np.full((7, inputs), row, np.uint8)
        it = Case(BYTES, rows, weights, np.ones(33, np.float32), np.zeros(33, np.float32), zero)
        found = lanes.on_every_variant(kernels, lambda it=it: it.run(kernels))
        assert (found == np.float32((row - zero) * (low + high) * (inputs // 2))).all()


@pytest.mark.parametrize(("low", "high"), [(-128, -1), (127, 2), (65, 64), (-65, -64), (127, 127), (-128, -128)])
def test_neighbours_that_would_saturate_are_refused(kernels: Kernels, low: int, high: int) -> None:
    for inputs, at in ((2, 0), (4, 2), (70, 68)):
        weights = np.zeros((inputs, 33), np.int8)
        weights[at : at + 2, 32] = low, high
        ones = np.ones(33, np.float32)
        arguments = (np.zeros((1, inputs), np.uint8), 1, inputs, 33, weights, ones, ones, 0, FLOATS, 0, ones, None, 64)
        step, to = np.ones(3, np.float32), np.zeros((1, 64), np.float32)
        assert kernels.call("simcse_testing_multiply", BYTES, *arguments, step, to) == -1
        weights[at + 1, 32] = 0
        assert kernels.call("simcse_testing_multiply", BYTES, *arguments, step, to) == 0


def test_what_is_infinite_stays_in_its_row_and_column(kernels: Kernels) -> None:
    it = case(SINGLES, 3, 20, 40)
    expected = it.values()
    it.weights[5, 7], it.rows[2, 3] = np.inf, np.inf
    found = it.run(kernels)
    others = np.arange(40) != 7
    np.testing.assert_array_equal(found[:2, others], expected[:2, others])
    assert not np.isfinite(found[:2, 7]).any()
    assert not np.isfinite(found[2]).any()
