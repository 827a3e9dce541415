"""Codes, and how far a score by them is off."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from simcse_engine.errors import IndexDamagedError
from simcse_engine.index.search.codes import BLOCK_ROWS, CodedQueries, Codes
from simcse_engine.index.search.team import Team
from support.indexes import stored, unit_vectors


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def outlying(count: int) -> NDArray[np.float32]:
    """As plain BERT's: two dimensions are far larger than the others, and the vectors all point one way."""
    vectors = np.random.default_rng(3).standard_normal((count, 96))
    vectors[:, 7] += 15
    vectors[:, 40] = 9 * vectors[:, 40] - 20
    return unit(vectors)


def one_hot(count: int) -> NDArray[np.float32]:
    return np.eye(96, dtype=np.float32)[np.arange(count) % 96]


def nearly_equal(count: int) -> NDArray[np.float32]:
    return unit(np.ones((count, 96)) + 1e-6 * np.random.default_rng(4).standard_normal((count, 96)))


def unlike(count: int) -> NDArray[np.float32]:
    """One long number among rows of small ones, in one block of several."""
    vectors = np.random.default_rng(5).standard_normal((count, 96))
    vectors[5] = 0
    vectors[5, 3] = 1
    return unit(vectors)


@pytest.mark.parametrize("vectors_of", [outlying, one_hot, nearly_equal, unlike])
def test_no_score_is_further_off_than_its_bound(tmp_path: Path, vectors_of) -> None:
    vectors = vectors_of(2 * BLOCK_ROWS)
    queries = np.concatenate([vectors_of(40), unit(np.random.default_rng(6).standard_normal((40, 96)))])
    coded = Codes(96).of(stored(tmp_path, vectors), np.ones(2, np.bool_), Team(2))
    asked = CodedQueries(coded, queries)
    of_row = np.arange(len(vectors)) // BLOCK_ROWS
    products = coded.codes.astype(np.int64) @ asked.codes.T.astype(np.int64)
    scores = products * (coded.scales[of_row][:, None] * asked.scales) + asked.offsets
    off = np.abs(scores - vectors.astype(np.float64) @ queries.T.astype(np.float64))
    errors = coded.lengths[of_row][:, None] * asked.rests + coded.rests[of_row][:, None]
    assert (off <= errors).all()
    # The bound is worth something: the codes of what is like all else are near.
    assert errors.max() < 0.3
    assert np.abs(coded.codes).max() == np.abs(asked.codes).max() == 127


def test_only_needed_blocks_are_coded_and_earlier_ones_stay(tmp_path: Path) -> None:
    vectors = unit_vectors(5 * BLOCK_ROWS)
    codes, team = Codes(vectors.shape[1]), Team(2)
    needed = np.array([False, True, False])
    vector_map = stored(tmp_path, vectors)
    first = codes.of(vector_map, needed, team)
    middle = slice(BLOCK_ROWS, 2 * BLOCK_ROWS)
    kept = first.codes[middle].copy()
    assert kept.any()
    assert (first.scales[[0, 2]] == 1).all()
    later = codes.of(vector_map, np.ones(5, np.bool_), team)
    assert len(later.codes) == 5 * BLOCK_ROWS
    np.testing.assert_array_equal(later.codes[middle], kept)
    # Whoever has the former ones keeps them.
    np.testing.assert_array_equal(first.codes[middle], kept)


def test_codes_are_those_of_the_arrays_that_were_looked_at(tmp_path: Path) -> None:
    """Another thread replaces the arrays by larger ones, with more blocks coded, right after they were read."""
    vectors = unit_vectors(4 * BLOCK_ROWS)
    vector_map, team = stored(tmp_path, vectors), Team(1)

    class Overtaken(Codes):
        overtaken = False

        def __getattribute__(self, name: str) -> object:
            value = super().__getattribute__(name)
            if name == "_made" and self.overtaken:
                self.overtaken = False
                self._coded(vector_map, np.ones(4, np.bool_), team)
            return value

    codes = Overtaken(vectors.shape[1])
    codes.of(vector_map, np.array([False, True]), team)
    codes.overtaken = True
    found = codes.of(vector_map, np.array([True, True]), team)
    assert not codes.overtaken
    assert found.codes[:BLOCK_ROWS].any()


def test_an_altered_vector_is_not_coded(tmp_path: Path) -> None:
    vectors = unit_vectors(2 * BLOCK_ROWS)
    path = stored(tmp_path, vectors).path
    content = bytearray(path.read_bytes())
    content[-40] ^= 1
    path.write_bytes(content)
    codes, vector_map = Codes(vectors.shape[1]), stored(tmp_path, vectors)
    # And never is, however often it is asked for.
    for _ in range(2):
        with pytest.raises(IndexDamagedError, match="was altered"):
            codes.of(vector_map, np.ones(2, np.bool_), Team(2))
    codes.of(vector_map, np.array([True, False]), Team(2))


def test_the_tail_is_coded_again_once_it_has_grown(tmp_path: Path) -> None:
    vectors = unit_vectors(2 * BLOCK_ROWS)
    codes = Codes(vectors.shape[1])
    stored(tmp_path, vectors)
    for rows in (20, 21, BLOCK_ROWS + 3, 20):
        tail, start = codes.tail(stored(tmp_path, vectors[:rows])), rows // BLOCK_ROWS * BLOCK_ROWS
        assert tail.start == start
        coded = tail.codes[: rows - start, : vectors.shape[1]] * tail.scales[0] + tail.mean
        np.testing.assert_allclose(coded, vectors[start:rows], rtol=0, atol=tail.scales[0])
        assert codes.tail(stored(tmp_path, vectors[:rows])) is tail
