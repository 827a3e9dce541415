"""Entries cut into batches, whatever portions their vectors come in."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from simcse_engine.index.batches import Additions, Batch
from simcse_engine.index.storage.key_kinds import KEY_KINDS
from support.indexes import DIMENSION, names, unit_vectors


def cut(known: NDArray[np.bool_], vectors: Iterator[NDArray[np.float32]], *, size: int) -> list[Batch]:
    count = len(known)
    additions = Additions.checked(names(count), range(count), None, KEY_KINDS["int"])
    return list(additions.batches(vectors, known=known, dimension=DIMENSION, size=size))


@pytest.mark.parametrize("portion", [1, 3, 50])
@pytest.mark.parametrize("size", [1, 4, 50])
def test_each_unknown_entry_gets_its_vector(portion: int, size: int) -> None:
    vectors = unit_vectors(20)
    known = np.arange(20) % 3 == 0
    left = vectors[~known]
    parts = (left[start : start + portion] for start in range(0, len(left), portion))
    batches = cut(known, parts, size=size)
    assert [len(batch.texts) for batch in batches] == [min(size, 20 - start) for start in range(0, 20, size)]
    assert [text for batch in batches for text in batch.texts] == names(20)
    assert [key for batch in batches for key in batch.keys or []] == list(range(20))
    joined = np.concatenate([batch.vectors for batch in batches])
    np.testing.assert_array_equal(np.concatenate([batch.known for batch in batches]), known)
    np.testing.assert_array_equal(joined[~known], vectors[~known])


def test_vectors_are_taken_as_they_are_needed_and_to_their_end() -> None:
    vectors, taken = unit_vectors(6), []

    def parts() -> Iterator[NDArray[np.float32]]:
        for i in range(6):
            taken.append(i)
            yield vectors[i : i + 1]
        taken.append("end")

    cutting = Additions.checked(names(6), None, None, KEY_KINDS["int"]).batches(parts(), dimension=DIMENSION, size=2)
    assert next(cutting).keys is None
    assert taken == [0, 1]
    assert len(list(cutting)) == 2
    assert taken == [*range(6), "end"]


def test_vectors_of_entries_that_are_gone() -> None:
    vectors = unit_vectors(3)
    (batch,) = cut(np.array([True, True, False]), iter([vectors[2:]]), size=3)
    filled = batch.with_vectors([1], vectors[1:2])
    assert filled.known.tolist() == [True, False, False]
    np.testing.assert_array_equal(filled.vectors[1:], vectors[1:])
    assert batch.known.tolist() == [True, True, False]
