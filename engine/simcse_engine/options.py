"""Options: what encoders take by keyword, for those who pass them on."""

from typing import TypedDict

from .forms import DType
from .inputs import OptimizeFor, Truncate
from .selection import Devices


class VectorOptions(TypedDict, total=False):
    """Which vectors are asked for; `simcse_engine.Encoder.encode` explains each."""

    prompt_name: str | None
    prompt: str | None
    dimensions: int | None
    dtype: DType


class EncodeOptions(VectorOptions, total=False):
    """What `simcse_engine.Encoder.encode` takes besides texts."""

    truncate: Truncate | None
    progress: bool


class AsyncEncodeOptions(VectorOptions, total=False):
    """What `simcse_engine.AsyncEncoder.encode` takes besides texts."""

    truncate: Truncate


class OpenOptions(TypedDict, total=False):
    """What `simcse_engine.Encoder` takes besides an artifact; it explains each."""

    device: str | None
    devices: Devices
    threads: int | None
    truncate: Truncate
    max_tokens: int | None
    optimize_for: OptimizeFor
