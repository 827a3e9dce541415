"""An activation function's wide channels, computed in steps that are each as narrow as the others are.

GELU leaves a few channels up to ten times as wide as the rest. On one grid of 256 values for all, either they are
clipped or the rest is coarse; smoothing factors even that out, but cost a pass over the widest tensor of a layer.

For large x GELU(x) is x, and there x is the sum of its steps, clip(x, 0, h) + clip(x - h, 0, h) + … So a wide channel
is written several times, the copies with h, 2h, … taken off their bias, each quantized to at most h, which is the
clipping, and each multiplied with the same weights. Near a multiple of h the sum is off by what GELU differs from
max(x, 0), at most 0.17 and rarely; rounding the weights to the steps as they are (`rounding`) makes up for part of it.

It is outlier channel splitting (Zhao et al. 2019, arXiv:1901.09504) along the value instead of by halves.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch

# Copies for each so many channels: 2 % of the feed-forward products. Multiples of 16 fill the widest vector registers.
_COPIES, _CHANNELS = 16, 768
# Of an interval that is at most 65 times its lower end: more than float32 tells apart.
_HALVINGS = 30
# A shift that leaves nothing of any activation.
_NEVER = 1e4


@dataclass(frozen=True)
class Steps:
    """Which channels are computed how often.

    Attributes:
        channels: int64 [features], of which channel each feature is a step: first every channel once, then the copies.
        shifts: float [features], what is taken off before the activation function; `_NEVER` for an unused copy.
        height: of a step; what is above it is cut by quantization.
    """

    channels: torch.Tensor
    shifts: torch.Tensor
    height: float

    @classmethod
    def of(cls, activated: torch.Tensor, activation: Callable[[torch.Tensor], torch.Tensor]) -> Self:
        """Choose the lowest height that the copies suffice for.

        Args:
            activated: float [tokens, channels], the activation function's values.
            activation: which it is; one that is bounded, such as tanh, has no steps.
        """
        largest = activated.amax(0).clamp(min=0)
        channels = torch.arange(len(largest))
        room = _COPIES * -(-len(largest) // _CHANNELS)
        top = float(largest.max())
        if top == 0 or float(activation(torch.tensor(_NEVER))) < _NEVER:
            return cls(channels, torch.zeros(len(largest)), top)
        low, height = top / (room + 1), top  # at the former the widest channel alone may need all copies
        for _ in range(_HALVINGS):
            middle = (low + height) / 2
            if int(_copies(largest, middle).sum()) <= room:
                height = middle
            else:
                low = middle
        copies = _copies(largest, height)
        shifts = [height * torch.arange(1, count + 1) for count in copies[copies > 0].tolist()]
        unused = room - int(copies.sum())
        return cls(
            torch.cat([channels, channels.repeat_interleave(copies), channels[:1].repeat(unused)]),
            torch.cat([torch.zeros(len(channels)), *shifts, torch.full((unused,), _NEVER)]),
            height,
        )

    def spread(self, weight: torch.Tensor) -> torch.Tensor:
        """The columns of ``weight`` [out, channels] for every feature: [out, features], zero for unused copies."""
        return weight[:, self.channels] * (self.shifts < _NEVER)


def _copies(largest: torch.Tensor, height: float) -> torch.Tensor:
    """How many steps beside its first a channel of this largest value takes: int64 [channels]."""
    return (largest / height).ceil().long().clamp(min=1) - 1
