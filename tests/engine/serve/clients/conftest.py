"""What the tests of clients share: their environment, a server for them, and what it must answer."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from simcse_engine import Encoder
from support.clients import python_with_clients
from support.servers import Server, serving

KEY = "a secret of this test"


@pytest.fixture(scope="package")
def clients() -> Path:
    """The Python of an environment with the clients."""
    return python_with_clients()


@pytest.fixture(scope="package")
def server(artifact: Path) -> Iterator[Server]:
    """A server that wants a key, which is its attribute ``key``."""
    with serving(artifact, key=KEY) as server:
        yield server


@pytest.fixture(scope="package")
def encoder(artifact: Path) -> Iterator[Encoder]:
    """The server's artifact, offline."""
    with Encoder(artifact) as encoder:
        yield encoder
