"""Addresses that cannot be had."""

import os
import socket
import stat
from pathlib import Path

import pytest

from simcse_engine.errors import InputValueError, ListenError
from simcse_engine.serve.server.address import Address, url_of


def refusal(**address: object) -> str:
    with pytest.raises(ListenError) as caught:
        Address(**address).bind()  # type: ignore[arg-type]
    return caught.value.on_command_line()


def test_any_port() -> None:
    with Address(port=0).bind() as bound:
        assert url_of(bound) == f"http://127.0.0.1:{bound.getsockname()[1]}"


def test_a_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        message = f"127.0.0.1:{port}: another program listens there; choose another with --port, or --port 0 for any"
        assert refusal(port=port).startswith(message)


def test_two_that_begin_together() -> None:
    first = Address(port=0).bind()
    address = Address(port=first.getsockname()[1])
    with first, address.bind() as second:
        address.listen(first, 1)
        with pytest.raises(ListenError, match="another program listens there"):
            address.listen(second, 1)


def test_names() -> None:
    assert refusal(host="no.such.host.invalid", port=0).startswith("no.such.host.invalid: is no known host (")
    assert "is no address of this machine" in refusal(host="192.0.2.1", port=0)
    with Address(host="localhost", port=0).bind() as bound:
        assert bound.family == socket.AF_INET
    with pytest.raises(InputValueError, match="port=70000: expected 0 to 65535"):
        Address(port=70_000)


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_ipv6() -> None:
    try:
        with Address(host="::1", port=0).bind() as bound:
            assert url_of(bound).startswith("http://[::1]:")
    except ListenError:
        pytest.skip("this machine has no ::1")


def test_files_in_the_way(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("precious")
    assert refusal(uds=str(file)) == f"{file}: exists, and is no socket; remove it, or choose another path with --uds"
    assert file.read_text() == "precious"
    missing = tmp_path / "none" / "s"
    assert refusal(uds=str(missing)).startswith(f"{missing}: cannot be created (No such file or directory)")
    assert "cannot be created (AF_UNIX path too long)" in refusal(uds=str(tmp_path / ("s" * 120)))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "cannot be created (Permission denied)" in refusal(uds=str(tmp_path / "s"))


@pytest.mark.parametrize("mask", [0o077, 0o022, 0])
def test_a_socket_is_its_owner_s_and_group_s_before_anyone_can_connect(tmp_path: Path, mask: int) -> None:
    path = tmp_path / "s"
    before = os.umask(mask)
    try:
        bound = Address(uds=str(path)).bind()
    finally:
        after = os.umask(before)
    with bound, socket.socket(socket.AF_UNIX) as client:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        with pytest.raises(ConnectionRefusedError):
            client.connect(str(path))
    assert after == mask


def test_the_umask_is_never_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process has one umask for all its threads, so nobody may set it, not even for a moment."""

    def refuse(mask: int) -> int:
        raise AssertionError(f"files of other threads would be made with umask {mask:o}")

    monkeypatch.setattr(os, "umask", refuse)
    with Address(uds=str(tmp_path / "s")).taken():
        pass


def test_sockets_in_the_way(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        assert "another program listens there" in refusal(uds=str(path))
    with Address(uds=str(path)).bind() as bound:  # the other has ended
        assert url_of(bound) == f"unix:{path}"


def test_a_path_belongs_to_one_server_from_start_to_end(tmp_path: Path) -> None:
    address = Address(uds=str(tmp_path / "s"))

    def refused() -> bool:
        with (
            pytest.raises(ListenError, match="another program listens there, or is starting or ending"),
            address.taken(),
        ):
            pass
        return Path(address.uds or "").is_socket()

    with address.taken() as bound:
        assert refused()  # while the first loads its model
        address.listen(bound, 1)
        assert refused()
        bound.close()
        assert refused()  # while it gives its last answers
    assert not any(tmp_path.iterdir())
    with address.taken():
        pass


def test_what_lies_beside_a_path(tmp_path: Path) -> None:
    lock = tmp_path / "s.lock"
    for content in ("", "precious"):  # of a server that was killed, and of somebody else
        lock.write_text(content)
        with Address(uds=str(tmp_path / "s")).taken():
            assert lock.read_text() == content
        assert lock.exists() == bool(content)
    lock.unlink()
    lock.symlink_to(tmp_path / "other")
    with pytest.raises(ListenError, match="cannot be created"), Address(uds=str(tmp_path / "s")).taken():
        pass
    assert not (tmp_path / "other").exists()


def test_a_path_of_somebody_else_stays(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("precious")
    with pytest.raises(ListenError, match="is no socket"), Address(uds=str(path)).taken():
        pass
    assert [each.name for each in tmp_path.iterdir()] == ["s"]
