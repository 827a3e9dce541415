"""The options of a session."""

import pytest

from simcse_engine.errors import ProviderError
from simcse_engine.session.session import SessionOptions


@pytest.mark.parametrize(
    "device", ["gpu", "CPU", "", "cpu:x", "cpu:0", "cuda:", "cuda:-1", "cuda:1:2", "cuda 0", "tpu:0"]
)
def test_an_unknown_device_is_refused(device: str) -> None:
    with pytest.raises(ProviderError, match="is unknown"):
        SessionOptions(device=device)
