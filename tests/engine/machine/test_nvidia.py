"""The driver is asked where there is one; elsewhere its absence is told."""

import ctypes

import pytest

from simcse_engine.errors import ProviderError
from simcse_engine.machine import nvidia


def has_driver() -> bool:
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def test_without_a_driver_the_error_says_what_to_do() -> None:
    if has_driver():
        pytest.skip("this machine has NVIDIA's driver")
    for ask in (nvidia.driver, lambda: nvidia.gpu(0)):
        with pytest.raises(ProviderError, match=r"no NVIDIA driver here \(libcuda\.so\.1: .*nvidia-smi"):
            ask()


def test_with_a_driver_each_gpu_has_a_name_and_a_capability() -> None:
    if not has_driver():
        pytest.skip("this machine has no NVIDIA driver")
    found = nvidia.driver()
    assert found.cuda.count(".") == 1
    for index, gpu in enumerate(found.gpus):
        assert gpu.name
        assert 50 <= gpu.compute_capability < 200
        assert nvidia.gpu(index) == gpu
    with pytest.raises(ProviderError, match=f"asked for cuda:{len(found.gpus)}, and the driver sees"):
        nvidia.gpu(len(found.gpus))


def test_a_gpu_is_told_by_name_and_capability() -> None:
    assert str(nvidia.Gpu(name="NVIDIA L4", compute_capability=89)) == "NVIDIA L4 (compute capability 89)"
