import errno
from pathlib import Path

import pytest

from simcse_engine.index.storage.reserve import RESERVE, Reserve
from support.disks import fill, small_disk

SIZE = 512 << 10


def test_room_is_taken_and_given_up(tmp_path: Path) -> None:
    path, reserve = tmp_path / RESERVE, Reserve(tmp_path)
    reserve.give_up()
    assert not path.exists()
    reserve.take(0)
    assert path.stat().st_size == SIZE
    content = path.read_bytes()
    reserve.take(0)
    assert path.read_bytes() == content
    reserve.take(40_000)
    assert path.stat().st_size == SIZE + (64 << 10)
    reserve.take(0)
    assert path.read_bytes() == content
    reserve.give_up()
    assert path.stat().st_size == 0


def test_holes_are_no_room(tmp_path: Path) -> None:
    path = tmp_path / RESERVE
    with path.open("wb") as file:
        file.truncate(SIZE)
    Reserve(tmp_path).take(0)
    assert path.stat().st_blocks * 512 >= SIZE == path.stat().st_size


def test_as_much_as_there_is(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1 << 20) as disk:
        reserve = Reserve(disk)
        fill(disk / "filler", leave=200 << 10)
        with pytest.raises(OSError, match="No space") as caught:
            reserve.take(0)
        assert caught.value.errno == errno.ENOSPC
        assert 0 < (disk / RESERVE).stat().st_size <= 200 << 10
        (disk / "filler").unlink()
        reserve.take(0)
        assert (disk / RESERVE).stat().st_size == SIZE
