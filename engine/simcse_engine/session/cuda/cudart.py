"""CUDA's runtime library, as far as a session needs it: memory here and on a GPU, and copies between the two.

ONNX Runtime's Python interface offers neither page-locked memory, which GPUs read and write directly, nor copies into
existing memory. So this module calls the library that the CUDA provider itself has loaded, through ctypes.

Every call names its GPU first: which one is current belongs to a thread, and sessions are called from many.
"""

import ctypes
import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ProviderError
from ...machine.forks import only_here
from ..library import INSTALL
from .shared_lock import GPU_LOCK

# By the major version that the provider was built for; its packages bring the one it needs.
_NAMES = ("libcudart.so.13", "libcudart.so.12")
_TO_DEVICE, _TO_HOST = 1, 2


class CudaRuntime:
    """The library on one GPU, by its index among those that this process sees (``CUDA_VISIBLE_DEVICES``)."""

    def __init__(self, index: int) -> None:
        """Find the library and the GPU; ProviderError where one is missing."""
        self.device = "cuda", index  # as ONNX Runtime names the memory
        self._library = _load()
        count = ctypes.c_int()
        self._check("looking for GPUs", self._library.cudaGetDeviceCount(ctypes.byref(count)))
        if index >= count.value:
            raise ProviderError(f"asked for cuda:{index}, and the GPUs here are 0 to {count.value - 1}; see nvidia-smi")

    def buffer(self, size: int) -> "PinnedBuffer":
        """Allocate ``size`` bytes here and on the GPU."""
        return PinnedBuffer(self, size)

    def memory_bytes(self) -> tuple[int, int]:
        """The GPU's free and total memory."""
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self.call("cudaMemGetInfo", ctypes.byref(free), ctypes.byref(total))
        return free.value, total.value

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function of the library on this GPU; ProviderError if it fails."""
        with GPU_LOCK.shared():
            self._check("choosing the GPU", self._library.cudaSetDevice(ctypes.c_int(self.device[1])))
            self._check(name, getattr(self._library, name)(*arguments))

    def _check(self, doing: str, code: int) -> None:
        if code:
            self._library.cudaGetErrorString.restype = ctypes.c_char_p
            reason = self._library.cudaGetErrorString(code).decode(errors="replace")
            raise ProviderError(
                f"cuda:{self.device[1]}: {doing}: {reason} (CUDA error {code}); run simcse-engine doctor"
            )


class PinnedBuffer:
    """As many bytes here, page-locked, as at `address` on the GPU; a copy is complete when its method returns."""

    def __init__(self, runtime: CudaRuntime, size: int) -> None:
        """Allocate ``size`` bytes twice; both go with this object."""
        self._runtime = runtime
        host, device = ctypes.c_void_p(), ctypes.c_void_p()
        runtime.call("cudaMallocHost", ctypes.byref(host), ctypes.c_size_t(size))
        weakref.finalize(self, only_here(runtime._library.cudaFreeHost), host)
        runtime.call("cudaMalloc", ctypes.byref(device), ctypes.c_size_t(size))
        weakref.finalize(self, only_here(runtime._library.cudaFree), device)
        assert host.value is not None  # as both calls have succeeded
        assert device.value is not None
        self.address = device.value
        array = (ctypes.c_uint8 * size).from_address(host.value)
        self.bytes: NDArray[np.uint8] = np.ctypeslib.as_array(array)

    def send(self, size: int) -> None:
        """Copy the first ``size`` bytes to the GPU."""
        self._copy(self.address, self.bytes.ctypes.data, size, _TO_DEVICE)

    def fetch(self, size: int) -> None:
        """Copy the first ``size`` bytes from the GPU."""
        self._copy(self.bytes.ctypes.data, self.address, size, _TO_HOST)

    def _copy(self, target: int, source: int, size: int, kind: int) -> None:
        pointers = ctypes.c_void_p(target), ctypes.c_void_p(source)
        self._runtime.call("cudaMemcpy", *pointers, ctypes.c_size_t(size), ctypes.c_int(kind))


def _load() -> ctypes.CDLL:
    for name in _NAMES:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise ProviderError(f"{' or '.join(_NAMES)} cannot be loaded; {INSTALL['cuda']}, then run simcse-engine doctor")
