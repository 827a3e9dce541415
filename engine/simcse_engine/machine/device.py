"""Devices by their names: "cpu", "cuda" and "cuda:N"."""

import re
from dataclasses import dataclass
from typing import Self

from ..errors import ProviderError


@dataclass(frozen=True)
class Device:
    """A device to run on.

    >>> Device.parse("cuda:1")
    Device(kind='cuda', index=1)

    Attributes:
        kind: "cpu" or "cuda".
        index: which of the GPUs that this process sees; 0 for the CPU.
    """

    kind: str
    index: int

    @classmethod
    def parse(cls, name: str) -> Self:
        """Read a device's name.

        Raises:
            ProviderError: it has another form.
        """
        match = re.fullmatch(r"(cpu|cuda)(?:(?<=cuda):(\d+))?", name)
        if match is None:
            raise ProviderError(f"device {name!r} is unknown; 'cpu', 'cuda' and 'cuda:N' are known")
        return cls(match[1], int(match[2] or 0))
