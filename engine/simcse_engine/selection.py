"""Which devices a caller chooses for an artifact."""

from collections.abc import Sequence
from typing import Literal

from .artifact.kinds import TARGETS
from .artifact.manifest import Manifest
from .errors import InputTypeError, InputValueError, ProviderError
from .inputs import checked_device
from .machine.device import parse_device
from .machine.nvidia import driver
from .wording import Wording, argument

Devices = Sequence[str] | Literal["all"] | None

_EXPECTED = ": expected a list such as ['cuda:0', 'cuda:1'], or 'all' for all GPUs"


def checked_devices(device: str | None, devices: Devices, manifest: Manifest) -> tuple[str, ...]:
    """The names of the devices that an artifact is to run on: ``device``, or each of ``devices``.

    "all" is each GPU that this process sees (``CUDA_VISIBLE_DEVICES``), and the CPU for an artifact that runs nowhere
    else. A name that is there twice gets two replicas.

    Raises:
        InputTypeError, InputValueError: neither is a choice, or both are given.
        ProviderError: the artifact's graph is not for these, or there is no GPU.
    """
    if devices is None:
        return (checked_device(device, manifest),)
    if device is not None:
        raise InputValueError(
            argument("device", device),
            " and ",
            Wording("devices", "--devices"),
            " are two choices; leave one of them out",
        )
    if isinstance(devices, str):
        if devices != "all":
            raise InputValueError(argument("devices", devices), _EXPECTED)
        return _all_of(manifest)
    if not isinstance(devices, Sequence):
        raise InputTypeError(argument("devices", devices), _EXPECTED)
    names = tuple(devices)
    if not names:
        raise InputValueError(argument("devices", list(names)), _EXPECTED)
    for name in names:
        if not isinstance(name, str):
            raise InputTypeError(argument("devices", list(names)), _EXPECTED)
        checked_device(name, manifest)
    if len({parse_device(name)[0] for name in names}) > 1:
        raise InputValueError(
            argument("devices", ",".join(names)), ": CPUs and GPUs do not share work; choose one kind"
        )
    return names


def checked_shares(threads: int, devices: Sequence[str]) -> None:
    """Raise InputValueError unless each replica on a CPU gets a thread."""
    if devices[0] == "cpu" and threads < len(devices):
        raise InputValueError(argument("threads", threads), f": {len(devices)} replicas on the CPU need a thread each")


def _all_of(manifest: Manifest) -> tuple[str, ...]:
    kind = TARGETS[manifest.target].devices[0]
    if kind == "cpu":
        return (kind,)
    names = tuple(f"{kind}:{index}" for index in range(len(driver().gpus)))
    if not names:
        raise ProviderError("asked for all GPUs, and the driver sees none; see CUDA_VISIBLE_DEVICES")
    return names
