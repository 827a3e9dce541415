"""Token ids to the first states, against NumPy to the bit, for tables of every type."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import lanes
from support.kernels import Kernels
from support.layers import normalized

FLOAT, INT8, BFLOAT16 = 1, 3, 16
TYPES = {FLOAT: np.float32, INT8: np.int8, BFLOAT16: np.uint16}
WORDS, POSITIONS = 50, 30


class Tables:
    """Random tables of words and positions, with a norm."""

    def __init__(self, kind: int, hidden: int, padding: int = -1) -> None:
        self.kind, self.hidden, self.padding = kind, hidden, padding
        rng = np.random.default_rng([kind, hidden])
        self.words, self.positions = (
            rng.integers(-128, 128, (n, hidden)).astype(np.int8)
            if kind == INT8
            else lanes.numbers(
                lanes.PAIRS if kind == BFLOAT16 else lanes.SINGLES, rng.normal(size=(n, hidden)).astype(np.float32)
            )
            for n in (WORDS, POSITIONS)
        )
        self.word_scale, self.position_scale = (
            rng.uniform(0.01, 0.02, n).astype(np.float32) for n in (WORDS, POSITIONS)
        )
        self.gamma, self.beta = rng.normal(size=(2, hidden)).astype(np.float32)

    def run(self, kernels: Kernels, lengths: list[int], ids: np.ndarray) -> np.ndarray:
        """The kernels' states, [tokens, hidden]; IndexError where an id or a position is refused."""
        width = -(-self.hidden // 64) * 64
        to = np.full((len(ids), width), np.nan, np.float32)
        sizes = [self.kind, self.hidden, WORDS, POSITIONS, self.padding, len(lengths), len(ids)]
        norm = np.concatenate([[np.float32(1e-5)], self.gamma, self.beta]).astype(np.float32)
        status = kernels.call(
            "simcse_testing_embeddings", np.array(sizes, np.int64), self.words, self.word_scale, self.positions,
            self.position_scale, norm, np.array(lengths, np.int64), ids, to,
        )  # fmt: skip
        if status:
            raise IndexError("refused")
        assert not to[:, self.hidden :].any(), "a row's rest is zero"
        return np.ascontiguousarray(to[:, : self.hidden])

    def reference(self, lengths: list[int], ids: np.ndarray) -> np.ndarray:
        positions = []
        for s, end in enumerate(np.cumsum(lengths)):
            own = ids[end - lengths[s] : end]
            # RoBERTa counts the tokens that are no padding, from padding + 1 on; padding is at padding.
            real = own != self.padding
            counted = self.padding + np.where(real, np.cumsum(real), 0)
            positions.append(np.arange(len(own)) if self.padding < 0 else counted)
        x = self._add(
            np.zeros((len(ids), self.hidden), np.float32), self.positions, self.position_scale, np.hstack(positions)
        )
        return normalized(self._add(x, self.words, self.word_scale, ids), self.gamma, self.beta, np.float32(1e-5))

    def _add(self, x: np.ndarray, table: np.ndarray, scale: np.ndarray, rows: np.ndarray) -> np.ndarray:
        if self.kind == INT8:
            return lanes.fma(table[rows].astype(np.float32), scale[rows, None], x)
        return x + (lanes.widened(table[rows]) if self.kind == BFLOAT16 else table[rows])


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("hidden", [1, 2, 15, 16, 17, 33, 63, 64, 65, 130])
@pytest.mark.parametrize("padding", [-1, 0, 1])
def test_states_of_every_size(kernels: Kernels, kind: int, hidden: int, padding: int) -> None:
    tables, lengths = Tables(kind, hidden, padding), [1, 7, 20, 3]
    ids = np.random.default_rng(hidden).integers(0, WORDS, sum(lengths))
    ids[[3, 4, 9]] = max(padding, 0)
    found = lanes.on_every_variant(kernels, lambda: tables.run(kernels, lengths, ids))
    np.testing.assert_array_equal(found, tables.reference(lengths, ids))


@given(
    kind=st.sampled_from([*TYPES]),
    hidden=st.integers(1, 140),
    padding=st.integers(-1, 3),
    lengths=st.lists(st.integers(1, 20), min_size=1, max_size=5),
    seed=st.integers(0, 99),
)
def test_any_states(kernels: Kernels, kind: int, hidden: int, padding: int, lengths: list[int], seed: int) -> None:
    tables = Tables(kind, hidden, padding)
    ids = np.random.default_rng(seed).integers(0, WORDS, sum(lengths))
    found = lanes.on_every_variant(kernels, lambda: tables.run(kernels, lengths, ids))
    np.testing.assert_array_equal(found, tables.reference(lengths, ids))


@pytest.mark.parametrize("bad", [-1, WORDS, 2**31, -(2**31), 2**63 - 1, -(2**63)])
def test_ids_out_of_range_are_refused(kernels: Kernels, bad: int) -> None:
    for kind in TYPES:
        for padding in (-1, 1):
            ids = np.zeros(5, np.int64)
            ids[3] = bad
            with pytest.raises(IndexError):
                Tables(kind, 20, padding).run(kernels, [2, 3], ids)


def test_positions_out_of_range_are_refused(kernels: Kernels) -> None:
    for padding, most in ((-1, POSITIONS), (0, POSITIONS - 1), (3, POSITIONS - 4)):
        tables, ids = Tables(FLOAT, 20, padding), np.full(most + 1, 5)
        tables.run(kernels, [most], ids[:most])
        with pytest.raises(IndexError):
            tables.run(kernels, [most + 1], ids)
    with pytest.raises(IndexError):
        Tables(FLOAT, 20, 2**31 - 1).run(kernels, [1], np.zeros(1, np.int64))
