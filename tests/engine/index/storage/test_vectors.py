"""The vector file: what was written, or an error."""

from pathlib import Path

import numpy as np
import pytest

from simcse_engine.errors import IndexDamagedError
from simcse_engine.index.storage.vectors import VectorMap, VectorWriter, create_vector_file
from support.indexes import unit_vectors

NAME = bytes(range(16))


def write(path: Path, *blocks: np.ndarray) -> None:
    create_vector_file(path, dimension=32, generation=3, name=NAME)
    writer = VectorWriter(path, 32)
    start = 0
    for block in blocks:
        writer.write(start, block)
        start += len(block)
    writer.close()


def mapped(path: Path, rows: int, *, dimension: int = 32, generation: int = 3, name: bytes = NAME) -> VectorMap:
    return VectorMap(path, rows=rows, dimension=dimension, generation=generation, name=name)


def test_rows_come_back_bit_for_bit(tmp_path: Path) -> None:
    vectors = unit_vectors(50)
    write(tmp_path / "v", vectors[:1], vectors[1:30], vectors[30:])
    vector_map = mapped(tmp_path / "v", 50)
    np.testing.assert_array_equal(vector_map.block(0, 50), vectors)
    np.testing.assert_array_equal(vector_map.take(np.array([49, 0, 7, 7])), vectors[[49, 0, 7, 7]])
    # A second look, at what is checked already and at what is not.
    other = mapped(tmp_path / "v", 50)
    np.testing.assert_array_equal(other.take(np.array([3])), vectors[[3]])
    np.testing.assert_array_equal(other.block(0, 10), vectors[:10])
    assert mapped(tmp_path / "v", 0).block(0, 0).shape == (0, 32)


def test_more_rows_than_are_written_at_once(tmp_path: Path) -> None:
    vectors = unit_vectors(9000, dimension=4)
    create_vector_file(tmp_path / "v", dimension=4, generation=1, name=NAME)
    writer = VectorWriter(tmp_path / "v", 4)
    writer.write(0, vectors)
    writer.close()
    np.testing.assert_array_equal(mapped(tmp_path / "v", 9000, dimension=4, generation=1).block(0, 9000), vectors)


def test_what_counts_is_not_for_the_file_to_say(tmp_path: Path) -> None:
    vectors = unit_vectors(6)
    write(tmp_path / "v", vectors)
    writer = VectorWriter(tmp_path / "v", 32)
    writer.write(2, vectors[4:])
    writer.close()
    np.testing.assert_array_equal(mapped(tmp_path / "v", 4).block(0, 4), vectors[[0, 1, 4, 5]])


def test_a_later_map_trusts_an_earlier_one(tmp_path: Path) -> None:
    write(tmp_path / "v", unit_vectors(6))
    first = mapped(tmp_path / "v", 4)
    first.block(0, 3)
    later = mapped(tmp_path / "v", 6)
    later.trust(first)
    assert later._checked.tolist() == [True, True, True, False, False, False]


def test_every_flipped_byte_is_found(tmp_path: Path) -> None:
    path = tmp_path / "v"
    write(path, unit_vectors(3))
    good = path.read_bytes()
    for position in range(len(good)):
        if 40 <= position < 64:  # padding
            continue
        bad = bytearray(good)
        bad[position] ^= 1 << position % 8
        path.write_bytes(bad)
        with pytest.raises(IndexDamagedError):
            mapped(path, 3).block(0, 3)
        with pytest.raises(IndexDamagedError):
            mapped(path, 3).take(np.arange(3))


def test_a_vector_in_another_s_place_is_found(tmp_path: Path) -> None:
    path = tmp_path / "v"
    write(path, unit_vectors(2))
    good = path.read_bytes()
    size = 33 * 4
    path.write_bytes(good[:64] + good[64 + size :] + good[64 : 64 + size])
    with pytest.raises(IndexDamagedError, match="vector 0 was altered"):
        mapped(path, 2).block(0, 2)


@pytest.mark.parametrize("size", [0, 10, 63, 64, 64 + 33 * 4 * 3 - 1])
def test_truncated(tmp_path: Path, size: int) -> None:
    path = tmp_path / "v"
    write(path, unit_vectors(3))
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(IndexDamagedError):
        mapped(path, 3)


def test_another_s_file(tmp_path: Path) -> None:
    write(tmp_path / "v", unit_vectors(3))
    for facts in ({"generation": 2}, {"dimension": 33}, {"name": bytes(16)}):
        with pytest.raises(IndexDamagedError, match="belongs to another"):
            mapped(tmp_path / "v", 2, **facts)
    (tmp_path / "v").write_bytes(b"x" * 10_000)
    with pytest.raises(IndexDamagedError, match="not a vector file"):
        mapped(tmp_path / "v", 2)
    with pytest.raises(FileNotFoundError):
        mapped(tmp_path / "none", 2)
