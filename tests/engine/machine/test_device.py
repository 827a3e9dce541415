"""The names of devices."""

import pytest

from simcse_engine.errors import ProviderError
from simcse_engine.machine.device import parse_device


@pytest.mark.parametrize(
    ("name", "device"),
    [
        ("cpu", ("cpu", 0)),
        ("cuda", ("cuda", 0)),
        ("cuda:0", ("cuda", 0)),
        ("cuda:12", ("cuda", 12)),
    ],
)
def test_parse(name: str, device: tuple[str, int]) -> None:
    assert parse_device(name) == device


@pytest.mark.parametrize(
    "name",
    [
        "",
        "cpu:0",
        "cpu:",
        "cuda:",
        "cuda:-1",
        "cuda:a",
        "cuda:1 ",
        "cpu:x",
        "cuda:1:2",
        "cuda 0",
        "CUDA",
        "gpu",
        "tpu:0",
    ],
)
def test_unknown(name: str) -> None:
    with pytest.raises(ProviderError, match="is unknown; 'cpu', 'cuda' and 'cuda:N' are known"):
        parse_device(name)
