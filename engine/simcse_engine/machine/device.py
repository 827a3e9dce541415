"""Devices by their names: "cpu", "cuda" and "cuda:N"."""

import re

from ..errors import ProviderError


def parse_device(name: str) -> tuple[str, int]:
    """The kind of a device, and which of the GPUs that this process sees; 0 for the CPU.

    >>> parse_device("cuda:1")
    ('cuda', 1)
    """
    match = re.fullmatch(r"(cpu|cuda)(?:(?<=cuda):(\d+))?", name)
    if match is None:
        raise ProviderError(f"device {name!r} is unknown; 'cpu', 'cuda' and 'cuda:N' are known")
    return match[1], int(match[2] or 0)
