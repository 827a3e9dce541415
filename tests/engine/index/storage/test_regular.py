import contextlib
import os
import socket
import stat
from pathlib import Path

import pytest

from simcse_engine.errors import IndexDamagedError
from simcse_engine.index.storage.regular import check_regular, open_regular


def make(path: Path, kind: str) -> None:
    """Put something that is no regular file at ``path``."""
    if kind == "a folder":
        path.mkdir()
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a socket":
        with contextlib.chdir(path.parent), socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)  # the system takes no long names
    else:
        path.symlink_to(path.with_name("target"))


@pytest.mark.parametrize("kind", ["a folder", "a pipe", "a socket", "a link"])
@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_RDWR, os.O_RDWR | os.O_CREAT, os.O_WRONLY | os.O_CREAT])
@pytest.mark.parametrize("target", [b"another's", None])
def test_other_files_are_refused(tmp_path: Path, kind: str, flags: int, target: bytes | None) -> None:
    if target is not None:
        (tmp_path / "target").write_bytes(target)
    make(tmp_path / "file", kind)
    for check in (lambda path: open_regular(path, flags), check_regular):
        with pytest.raises(IndexDamagedError, match=f"file: is {kind}; an index"):
            check(tmp_path / "file")
    left = (tmp_path / "target").read_bytes() if target is not None else None
    assert (left, (tmp_path / "target").exists()) == (target, target is not None)


def test_a_device() -> None:
    for check in (open_regular, check_regular):
        with pytest.raises(IndexDamagedError, match="/dev/null: is a device"):
            check(Path("/dev/null"))


def test_regular_files_are_opened(tmp_path: Path) -> None:
    path = tmp_path / "file"
    check_regular(path)
    with pytest.raises(FileNotFoundError):
        open_regular(path)
    before = os.umask(0o027)
    handle = open_regular(path, os.O_RDWR | os.O_CREAT)
    os.umask(before)
    os.write(handle, b"ours")
    os.close(handle)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    with os.fdopen(open_regular(path), "rb") as file:
        assert file.read() == b"ours"
        assert not os.get_inheritable(file.fileno())
    check_regular(path)


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "file")
    before = os.listdir("/dev/fd")  # noqa: PTH208
    with pytest.raises(IndexDamagedError):
        open_regular(tmp_path / "file")
    assert os.listdir("/dev/fd") == before  # noqa: PTH208
