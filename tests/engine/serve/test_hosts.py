"""By which names a server on a loopback address is asked."""

import socket
from pathlib import Path

import pytest

from simcse_engine.serve.server.address import Address
from simcse_engine.serve.server.hosts import local_names

OWN = [
    "localhost",
    "LOCALHOST:8080",
    "localhost.",
    "a.b.localhost:1",
    "127.0.0.1",
    "127.0.0.1:80",
    "127.1.2.3",
    "[::1]:8",
]
FOREIGN = [
    "",
    "evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "evil.example:127",
    "xlocalhost",
    "0.0.0.0",
]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2"])
def test_on_a_loopback_address(host: str) -> None:
    with Address(host=host, port=0).bind() as bound:
        names = local_names(bound, host)
        assert names is not None
        assert [name for name in [*OWN, host] if not names.fullmatch(name.encode())] == []
        assert [name for name in FOREIGN if names.fullmatch(name.encode())] == []


def test_the_name_that_was_given_is_one() -> None:
    with Address(port=0).bind() as bound:
        names = local_names(bound, "my.host")
        assert names is not None
        assert names.fullmatch(b"My.Host:80")
        assert not names.fullmatch(b"my-host")


def test_elsewhere_any_name_will_do(tmp_path: Path) -> None:
    with Address(host="0.0.0.0", port=0).bind() as bound:
        assert local_names(bound, "0.0.0.0") is None
    with Address(uds=str(tmp_path / "s")).bind() as bound:
        assert bound.family == socket.AF_UNIX
        assert local_names(bound, "127.0.0.1") is None
