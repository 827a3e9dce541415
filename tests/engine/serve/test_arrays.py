"""Vectors as JSON, base64 and npy: the same float32 to the bit, in pieces or at once, with the loop free in between."""

import asyncio
import base64
import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from simcse_engine.serve.http.arrays import (
    as_json,
    as_json_in_pieces,
    as_npy,
    cosines,
    in_pieces,
    listed,
    rows_as_base64,
    rows_as_json,
)

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
# More than one piece holds.
MANY = np.random.default_rng(0).standard_normal((700, 384), dtype=np.float32)


def same(left: NDArray[np.float32], right: NDArray[np.float32]) -> bool:
    """To the bit, so that -0.0 is not 0.0."""
    return left.shape == right.shape and left.tobytes() == right.tobytes()


@given(st.lists(st.lists(FLOATS, min_size=3, max_size=3), min_size=1, max_size=5))
def test_json_is_read_as_the_same_floats(values: list[list[float]]) -> None:
    vectors = np.array(values, np.float32)
    assert same(np.array(json.loads(as_json(vectors)), np.float32), vectors)
    assert [json.loads(row) for row in rows_as_json(vectors)] == json.loads(as_json(vectors))


def test_json_has_the_fewest_digits() -> None:
    vectors = np.array([[1 / 3, 0.1, 1e-8, -0.0]], np.float32)
    assert as_json(vectors) == b"[[0.33333334,0.1,1e-8,-0.0]]"


@given(st.lists(st.lists(FLOATS, min_size=4, max_size=4), min_size=1, max_size=5))
def test_base64_and_npy_hold_the_same_bytes(values: list[list[float]]) -> None:
    vectors = np.array(values, np.float32)
    rows = [base64.b64decode(json.loads(row), validate=True) for row in rows_as_base64(vectors)]
    assert rows == [vector.astype("<f4").tobytes() for vector in vectors]
    assert same(np.load(io.BytesIO(as_npy(vectors)), allow_pickle=False), vectors)


@pytest.mark.parametrize("columns", [slice(None), slice(0, 5), slice(None, None, 2)])
def test_views_are_written_as_what_they_show(columns: slice) -> None:
    vectors = MANY[:7, columns]
    assert same(np.array(json.loads(as_json(vectors)), np.float32), vectors)
    assert same(np.array([json.loads(row) for row in rows_as_json(vectors)], np.float32), vectors)
    read = [np.frombuffer(base64.b64decode(json.loads(row)), "<f4") for row in rows_as_base64(vectors)]
    assert same(np.array(read), vectors)
    assert same(np.load(io.BytesIO(as_npy(vectors))), vectors)


@pytest.mark.parametrize("count", [1, 170, 171, 340, 341, 700])
def test_pieces_are_the_whole(count: int) -> None:
    assert asyncio.run(as_json_in_pieces(MANY[:count])) == as_json(MANY[:count])


def test_others_run_between_pieces() -> None:
    sizes, turns = [], []

    def write(vectors: NDArray[np.float32]) -> int:
        sizes.append(len(vectors))
        turns.append(0)
        return len(vectors)

    async def others() -> None:
        while True:
            if turns:
                turns[-1] += 1
            await asyncio.sleep(0)

    async def main() -> None:
        task = asyncio.ensure_future(others())
        assert await in_pieces(MANY, write) == sizes
        task.cancel()

    asyncio.run(main())
    assert sum(sizes) == len(MANY)
    assert len(sizes) > 3
    assert all(turns[:-1])


@given(st.lists(st.integers(), max_size=4))
def test_a_list_of_json(values: list[int]) -> None:
    items = [json.dumps(value).encode() for value in values]
    assert json.loads(listed(items)) == values
    assert json.loads(listed(items, b'{"a":', b',"b":2}')) == {"a": values, "b": 2}


def test_cosines_do_not_depend_on_how_many_there_are() -> None:
    vectors = MANY[1:].astype(np.float64)
    expected = vectors @ MANY[0] / np.linalg.norm(vectors, axis=1) / np.linalg.norm(MANY[0].astype(np.float64))
    found = cosines(MANY[0], MANY[1:])
    np.testing.assert_allclose(found, expected, atol=1e-7)
    assert all(cosines(MANY[0], MANY[i : i + 1])[0] == found[i - 1] for i in (1, 5, 500))
    assert cosines(MANY[0], np.zeros((1, 384), np.float32)).tolist() == [0]
