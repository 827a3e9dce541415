"""NVIDIA's driver and the GPUs that it sees, by CUDA's driver library, which comes with the driver."""

import ctypes
from dataclasses import dataclass

from ..errors import ProviderError

_LIBRARY = "libcuda.so.1"
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, …_MINOR
_NAME_BYTES = 256


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """A GPU."""

    name: str  # such as "NVIDIA H100 80GB HBM3"
    compute_capability: int  # major and minor version as one number, such as 90

    def __str__(self) -> str:
        return f"{self.name} (compute capability {self.compute_capability})"


@dataclass(frozen=True, kw_only=True)
class Driver:
    """The driver and what it sees, in the order and choice of ``CUDA_VISIBLE_DEVICES``."""

    cuda: str  # the newest version of CUDA that it runs, such as "13.0"
    gpus: tuple[Gpu, ...]  # in the order of their index, as in "cuda:1"


def driver() -> Driver:
    """Ask the driver; ProviderError where there is none, or it does not start."""
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise ProviderError(
            f"no NVIDIA driver here ({error}); install it, or in a container pass the GPU through (docker run --gpus "
            "all), and see that nvidia-smi answers"
        ) from error
    _call(library, "cuInit", 0)
    version, count = ctypes.c_int(), ctypes.c_int()
    _call(library, "cuDriverGetVersion", ctypes.byref(version))
    _call(library, "cuDeviceGetCount", ctypes.byref(count))
    return Driver(
        cuda=f"{version.value // 1000}.{version.value % 1000 // 10}",
        gpus=tuple(_gpu(library, index) for index in range(count.value)),
    )


def gpu(index: int) -> Gpu:
    """The GPU of this index; ProviderError where the driver does not see so many."""
    gpus = driver().gpus
    if index >= len(gpus):
        listed = ", ".join(f"cuda:{i} ({gpu.name})" for i, gpu in enumerate(gpus)) or "none"
        raise ProviderError(f"asked for cuda:{index}, and the driver sees {listed}")
    return gpus[index]


def _gpu(library: ctypes.CDLL, index: int) -> Gpu:
    device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    name = ctypes.create_string_buffer(_NAME_BYTES)
    _call(library, "cuDeviceGet", ctypes.byref(device), index)
    _call(library, "cuDeviceGetName", name, _NAME_BYTES, device)
    _call(library, "cuDeviceGetAttribute", ctypes.byref(major), _MAJOR, device)
    _call(library, "cuDeviceGetAttribute", ctypes.byref(minor), _MINOR, device)
    return Gpu(name=name.value.decode(errors="replace"), compute_capability=10 * major.value + minor.value)


def _call(library: ctypes.CDLL, function: str, *arguments: object) -> None:
    code = getattr(library, function)(*arguments)
    if code != 0:
        answer = ctypes.c_char_p()
        library.cuGetErrorName(code, ctypes.byref(answer))
        name = (answer.value or b"an unknown error").decode()
        raise ProviderError(f"NVIDIA's driver answers {function} with {name} ({code}); see that nvidia-smi answers")
