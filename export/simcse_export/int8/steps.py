"""An activation function's wide channels, computed in steps as narrow as the other channels.

GELU leaves a few channels far wider than the rest. On one grid of 256 values for all, either they are clipped or the
rest is coarse; smoothing factors would even that out, at the cost of a pass over a layer's widest tensor.

For large x GELU(x) is x, and there x is the sum of its steps, clip(x, 0, h) + clip(x - h, 0, h) + … So a wide channel
is computed several times: the copies have h, 2h, … subtracted from their bias, quantizing clips each to at most h, and
all are multiplied with the same weights. Near a multiple of h the sum is off by what GELU differs from max(x, 0), at
most 0.17 and rarely; rounding the weights against these very steps (`rounding`) makes up for part of it.

This is outlier channel splitting (Zhao et al. 2019, arXiv:1901.09504) along the value instead of by halves.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch

# 16 copies per 768 channels: 2 % of the feed-forward products. Multiples of 16 fill the widest vector registers.
_COPIES, _CHANNELS = 16, 768
# Of an interval at most 65 times its lower end: finer than float32.
_HALVINGS = 30
# A shift after which no activation is left.
_UNUSED = 1e4


@dataclass(frozen=True)
class Steps:
    """The channels of a feed-forward's middle, wide ones several times.

    Attributes:
        channels: int64 [features], the channel of each feature: first every channel once, then the copies.
        shifts: float [features], subtracted before the activation function; `_UNUSED` for an unused copy.
        height: of a step; quantization clips what is above it.
    """

    channels: torch.Tensor
    shifts: torch.Tensor
    height: float

    @classmethod
    def of(cls, activated: torch.Tensor, activation: Callable[[torch.Tensor], torch.Tensor]) -> Self:
        """Choose the lowest height that the copies suffice for, by the activation's values [tokens, channels].

        A bounded activation function, such as tanh, has no steps.
        """
        largest = activated.amax(0).clamp(min=0)
        channels = torch.arange(len(largest))
        room = _COPIES * -(-len(largest) // _CHANNELS)
        top = float(largest.max())
        if top == 0 or float(activation(torch.tensor(_UNUSED))) < _UNUSED:
            return cls(channels, torch.zeros(len(largest)), top)
        low, height = top / (room + 1), top  # at `low` the widest channel alone may need all copies
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
            torch.cat([torch.zeros(len(channels)), *shifts, torch.full((unused,), _UNUSED)]),
            height,
        )

    def spread(self, weight: torch.Tensor) -> torch.Tensor:
        """The columns of ``weight`` [out, channels] for every feature: [out, features], zero for unused copies."""
        return weight[:, self.channels] * (self.shifts < _UNUSED)


def _copies(largest: torch.Tensor, height: float) -> torch.Tensor:
    """How many steps each channel needs beside its first, by its largest value: int64 [channels]."""
    return (largest / height).ceil().long().clamp(min=1) - 1
