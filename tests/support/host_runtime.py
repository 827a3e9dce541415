"""CUDA's library as far as sessions call it, on the host: for all of a session for GPUs but the GPU."""

import numpy as np


class HostBuffer:
    """Memory whose other side is itself."""

    def __init__(self, size: int) -> None:
        # Noise: a session must read nothing that it has not written.
        self.bytes = np.full(size, 0xAB, np.uint8)
        self.address = self.bytes.ctypes.data

    def send(self, size: int) -> None:
        assert size <= len(self.bytes)

    fetch = send


class HostRuntime:
    """In place of CUDA's library, so that all else of the session runs here: bindings, buckets, slots and threads."""

    device = "cpu", 0

    def buffer(self, size: int) -> HostBuffer:
        return HostBuffer(size)
