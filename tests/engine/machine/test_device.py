"""The names of devices."""

import pytest

from simcse_engine.errors import ProviderError
from simcse_engine.machine.device import Device


@pytest.mark.parametrize(
    ("name", "device"),
    [
        ("cpu", Device("cpu", 0)),
        ("cuda", Device("cuda", 0)),
        ("cuda:0", Device("cuda", 0)),
        ("cuda:12", Device("cuda", 12)),
    ],
)
def test_parse(name: str, device: Device) -> None:
    assert Device.parse(name) == device


@pytest.mark.parametrize("name", ["", "cpu:0", "cpu:", "cuda:", "cuda:-1", "cuda:a", "cuda:1 ", "CUDA", "gpu", "tpu"])
def test_unknown(name: str) -> None:
    with pytest.raises(ProviderError, match="is unknown; 'cpu', 'cuda' and 'cuda:N' are known"):
        Device.parse(name)
