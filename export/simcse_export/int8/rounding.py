"""Float weights → int8 weights whose products no CPU gets wrong.

Rounding follows GPTQ (Frantar et al. 2022, arXiv:2210.17323, on Hassibi & Stork's optimal brain surgeon): columns are
rounded one after another, and the columns still to come take back what rounding adds to the output.

x86 CPUs without VNNI multiply unsigned by signed bytes in pairs and add each pair in 16 bits, with saturation: two
activations of 255 and two weights of 127 make 64,770, which becomes 32,767. Weights here keep
``255 · (w₀ + w₁) ≤ 32,767`` for every such pair of one sign, so every kernel gives the exact sum, and an artifact gives
the same vectors on all of them. That costs a slightly larger scale and nothing at run time.
"""

import numpy as np
import torch
from numpy.typing import NDArray

# Largest weight, and largest sum of two neighbours of one sign: 255 · 128 = 32,640 fits 16 bits.
_MAX = 127
_MAX_PAIR = 128

# Added to the diagonal of the activations' covariance, as a fraction of its mean: directions that calibration never
# showed cost something too.
_DAMPING = 0.02
# Columns rounded before the rest is updated: GPTQ's blocks, which turn most of its work into matrix products.
_BLOCK = 64


def quantized_rows(table: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """An embedding table [entries, hidden] in int8 with one scale per row: integers, and scales [entries, 1]."""
    scale = np.maximum(np.abs(table).max(1, keepdims=True), 1e-12).astype(np.float32) / 127
    return np.round(table / scale).astype(np.int8), scale


def scales(weight: torch.Tensor) -> torch.Tensor:
    """Each row's least scale, [out], at which no weight and no pair of ``weight`` [out, in] exceeds its limit."""
    even, odd = _pairs(weight)
    sums = torch.where(even * odd > 0, (even + odd).abs(), torch.zeros(()))
    largest = torch.maximum(weight.abs().amax(1), sums.amax(1))
    return largest.clamp(min=1e-12) / _MAX


def round_weights(weight: torch.Tensor, covariance: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Round ``weight`` / ``scale`` so that products with the activations change least.

    Args:
        weight: float [out, in].
        covariance: float [in, in], the sum of x xᵀ over the activations, as the graph will quantize them.
        scale: float [out], from `scales`.

    Returns:
        int8 [out, in], within the limits above.
    """
    columns = weight.shape[1]
    covariance = covariance.double()
    covariance += torch.eye(columns, dtype=torch.float64) * (_DAMPING * covariance.diagonal().mean()).clamp(min=1e-12)
    # The columns that matter most come first, while others remain to make up for them.
    order = torch.argsort(covariance.diagonal(), descending=True)
    place = torch.argsort(order)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(covariance[order][:, order]))
    factor = torch.linalg.cholesky(inverse, upper=True)
    left = (weight.double() / scale.double()[:, None])[:, order]
    rounded = torch.zeros_like(left)
    for start in range(0, columns, _BLOCK):
        end = min(start + _BLOCK, columns)
        errors = torch.zeros(len(left), end - start, dtype=torch.float64)
        for i in range(start, end):
            low, high = _room(rounded, int(place[order[i] ^ 1]) if int(order[i] ^ 1) < columns else columns, i)
            rounded[:, i] = left[:, i].round().clamp(low, high)
            errors[:, i - start] = (left[:, i] - rounded[:, i]) / factor[i, i]
            left[:, i + 1 : end] -= errors[:, i - start, None] * factor[i, i + 1 : end]
        left[:, end:] -= errors @ factor[start:end, end:]
    return rounded[:, place].to(torch.int8)


def _room(rounded: torch.Tensor, neighbour: int, column: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The limits of a column whose neighbour in the pair may be rounded already."""
    taken = rounded[:, neighbour] if neighbour < column else torch.zeros(len(rounded), dtype=rounded.dtype)
    high = (_MAX_PAIR - taken.clamp(min=0)).clamp(max=_MAX)
    low = (-_MAX_PAIR - taken.clamp(max=0)).clamp(min=-_MAX)
    return low, high


def _pairs(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The columns 0, 2, … and 1, 3, …, the latter padded with zeros to the same number."""
    even, odd = weight[:, 0::2], weight[:, 1::2]
    return even, torch.nn.functional.pad(odd, (0, even.shape[1] - odd.shape[1]))
