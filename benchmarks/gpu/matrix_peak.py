"""What torch's own matrix product reaches on this GPU, against which a model's speed is held."""

import time

import torch


def matrix_peak(device: str, *, size: int, seconds: float) -> float:
    """Operations a second of the product of two square matrices, float16 on a GPU and float32 on a CPU."""
    dtype = torch.float16 if device != "cpu" else torch.float32
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))

    def wait() -> None:
        if device != "cpu":
            torch.cuda.synchronize(device)

    a @ b
    wait()
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        for _ in range(8):
            a @ b
        wait()
        done += 8
    return 2 * size**3 * done / (time.perf_counter() - start)
