"""The scan by codes and the cosines of a search, on plain arrays, against NumPy."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from support.kernels import Kernels, by_turns

FOUND, GIVEN_UP, NO_MEMORY, UNKNOWN = range(4)


def variants(kernels: Kernels) -> list[str]:
    return [name for name in kernels.text("simcse_kernels_variants").split(",") if name]


@dataclass(kw_only=True)
class Scan:
    """Random codes and all that a scan is asked."""

    blocks: int = 5
    block_rows: int = 50
    bytes: int = 128
    queries: int = 3
    k: int = 4
    seed: int = 0
    share: float = 0.8
    eligible: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        random = np.random.default_rng(self.seed)
        rows = self.blocks * self.block_rows
        self.codes = random.integers(-127, 128, (rows, self.bytes), np.int8)
        self.asked = random.integers(-127, 128, (self.queries, self.bytes), np.int8)
        # The largest sums that there are.
        self.codes[rows // 2], self.asked[-1] = 127, -127
        self.eligible = random.random(rows) < self.share
        self.scales = (random.random(self.blocks) * 1e-3 + 1e-3).astype(np.float32)
        self.query_scales = (random.random(self.queries) * 1e-3 + 1e-3).astype(np.float32)
        self.lengths, self.rests = (random.random((2, self.blocks)) * 0.02).astype(np.float32)
        self.query_rests = (random.random(self.queries) * 0.02).astype(np.float32)
        self.offsets = random.normal(size=self.queries).astype(np.float32)
        self.floors = np.full(self.queries, -1e6, np.float32)

    def run(self, kernels: Kernels, variant: str, threads: int = 1, room: int = 1 << 16, most: float = 1.0):
        """The outcome, the pairs, and the floors."""
        of_query, rows, count = np.zeros(room, np.int64), np.zeros(room, np.int64), np.zeros(1, np.int64)
        floors = self.floors.copy()
        outcome = kernels.call(
            "simcse_search_codes",
            *(variant.encode(), threads, self.codes, self.bytes, self.blocks, self.block_rows, self.eligible),
            *(self.scales, self.lengths, self.rests, self.asked, self.query_scales, self.query_rests, self.offsets),
            *(floors, self.queries, self.k, np.array([most], np.float32), 32 * self.k, room, of_query, rows, count),
        )
        found = slice(0, int(count[0]) if outcome == FOUND else 0)
        return outcome, list(zip(of_query[found].tolist(), rows[found].tolist(), strict=True)), floors

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """The least and the most that each score can be, [queries, rows]; -inf of what is not eligible."""
        of_row = np.arange(len(self.codes)) // self.block_rows
        scores = (self.asked.astype(np.int64) @ self.codes.astype(np.int64).T).astype(np.float64)
        scores *= self.query_scales[:, None].astype(np.float64) * self.scales[of_row]
        scores += self.offsets[:, None]
        errors = self.query_rests[:, None] * self.lengths[of_row] + self.rests[of_row]
        scores[:, ~self.eligible] = -np.inf
        return scores - errors, scores + errors


SHAPES = [
    Scan(),
    Scan(queries=1, k=1),
    Scan(queries=6, bytes=64, block_rows=1, blocks=77),
    Scan(queries=7, bytes=64, block_rows=48),
    Scan(queries=16, bytes=384, block_rows=192, blocks=2, share=1),
    Scan(queries=17, k=300),
    Scan(queries=64, bytes=192, block_rows=49, share=0.1),
    Scan(queries=65, blocks=40, block_rows=3, k=10),
    Scan(queries=130, bytes=448, blocks=3, block_rows=97, k=2),
    Scan(queries=2, share=0),
    Scan(queries=20, blocks=30, block_rows=192, bytes=64, k=10),
]


@pytest.mark.parametrize("turn", range(3))
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_all_that_may_be_among_the_best_and_no_more(kernels: Kernels, threads: int, turn: int) -> None:
    for scan in by_turns(SHAPES, turn):
        for known in (-1e6, -0.5):
            scan.floors[:] = known
            least, most = scan.bounds()
            kth = -np.sort(-least, axis=1)[:, scan.k - 1] if least.shape[1] >= scan.k else np.full(len(least), -np.inf)
            floors = np.maximum(kth, known)
            for variant in variants(kernels):
                outcome, found, raised = scan.run(kernels, variant, threads)
                assert outcome == FOUND, scan
                assert len(set(found)) == len(found)
                assert [query for query, _ in found] == sorted(query for query, _ in found)
                # What is float32 here decides what lies as near as this to the floor.
                np.testing.assert_allclose(raised, floors, rtol=0, atol=1e-4)
                sure = set(zip(*np.nonzero(most > floors[:, None] + 1e-4), strict=True))
                allowed = set(zip(*np.nonzero(most > floors[:, None] - 1e-4), strict=True))
                assert sure <= set(found) <= allowed, scan


def test_what_is_no_number_is_found_and_hides_nothing(kernels: Kernels) -> None:
    for variant in variants(kernels):
        scan = Scan(queries=9, share=1)
        before = set(scan.run(kernels, variant)[1])
        scan.scales[1] = np.nan
        rows = set(range(scan.block_rows, 2 * scan.block_rows))
        outcome, found, _ = scan.run(kernels, variant)
        assert outcome == FOUND
        assert {row for query, row in found if query == 4} >= rows
        assert {pair for pair in before if pair[1] not in rows} <= set(found)


def test_a_scan_that_finds_too_much_is_given_up(kernels: Kernels) -> None:
    for variant in variants(kernels):
        scan = Scan(blocks=200, share=1, queries=8, k=1)
        scan.rests[:] = 1e3
        assert scan.run(kernels, variant, most=0.01)[0] == GIVEN_UP
        assert scan.run(kernels, variant, threads=2, room=100)[0] == GIVEN_UP


def test_what_cannot_be_done_is_said(kernels: Kernels) -> None:
    assert Scan().run(kernels, "sse2")[0] == UNKNOWN
    before, scan = kernels.call("simcse_testing_allocations", 1 << 62), Scan(queries=9, blocks=50)
    for variant in variants(kernels):
        outcomes = []
        while FOUND not in outcomes:
            kernels.call("simcse_testing_allocations", len(outcomes))
            outcomes.append(scan.run(kernels, variant, threads=2)[0])
            assert kernels.call("simcse_testing_allocations", 1 << 62) == before
        # Panels, facts, what has been found by each of two threads, a working space, and the numbers of pairs.
        assert outcomes[:-1] == [NO_MEMORY] * (len(outcomes) - 1)
        assert len(outcomes) >= 12


@pytest.mark.parametrize("size", [1, 7, 8, 9, 64, 383])
def test_cosines(kernels: Kernels, size: int) -> None:
    random = np.random.default_rng(size)
    vectors, queries = (random.normal(size=(n, size)).astype(np.float32) for n in (30, 4))
    with_checksums = np.ascontiguousarray(np.pad(vectors, ((0, 0), (0, 1)), constant_values=np.nan))
    of_query, rows = np.divmod(random.permutation(4 * 30), 30)
    exact, asked = vectors[rows].astype(np.float64), queries[of_query].astype(np.float64)
    expected = (exact * asked).sum(axis=1) / np.sqrt((exact**2).sum(axis=1) * (asked**2).sum(axis=1))
    found = []
    for variant in variants(kernels):
        for threads in (1, 3):
            to = np.zeros(len(rows), np.float32)
            outcome = kernels.call(
                "simcse_search_cosines",
                *(variant.encode(), threads, with_checksums, size + 1, queries, size, rows, of_query, len(rows), to),
            )
            assert outcome == FOUND
            np.testing.assert_allclose(to, expected, rtol=0, atol=6e-8)
            found.append(to)
    # The same bits in every variant.
    assert all((to == found[0]).all() for to in found)
