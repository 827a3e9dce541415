"""What of the CUDA session runs without a GPU: its options, and what it says where there is none."""

from collections.abc import Iterator

import pytest

from simcse_engine.errors import ProviderError
from simcse_engine.session.cuda import cudart
from simcse_engine.session.cuda.session import provider_options


@pytest.fixture
def no_gpu() -> Iterator[None]:
    try:
        cudart.CudaRuntime(0)
    except ProviderError:
        yield
    else:
        pytest.skip("this machine has a GPU")


def test_float32_is_float32() -> None:
    assert provider_options(0, precision="fp32")["use_tf32"] == "0"
    assert provider_options(0, precision="fp16")["use_tf32"] == "1"


def test_the_gpu_that_was_asked_for() -> None:
    assert provider_options(3, precision="fp16")["device_id"] == "3"
    assert "device_id" not in provider_options(0, precision="fp16")


@pytest.mark.usefixtures("no_gpu")
def test_what_is_missing_is_named() -> None:
    with pytest.raises(ProviderError, match=r"libcudart.*cannot be loaded; pip install|cuda:0: looking for GPUs: "):
        cudart.CudaRuntime(0)
