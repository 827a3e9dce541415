"""simcse-engine: trained SimCSE checkpoints as fast, torch-free sentence encoders.

>>> from simcse_engine import Encoder
>>> Encoder(artifact).encode(["A man plays a guitar."]).shape
(1, 384)
"""

from typing import TYPE_CHECKING, Any

from ._version import __version__
from .artifact.manifest import Manifest
from .encoder import Encoder
from .errors import IndexWarning, KernelsWarning, SimCSEError, TruncationWarning, UnverifiedWarning

if TYPE_CHECKING:
    from .batching import AsyncEncoder
    from .index import Hit, Index
    from .simcse import SimCSE

__all__ = [
    "AsyncEncoder",
    "Encoder",
    "Hit",
    "Index",
    "IndexWarning",
    "KernelsWarning",
    "Manifest",
    "SimCSE",
    "SimCSEError",
    "TruncationWarning",
    "UnverifiedWarning",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """Import the index at its first use: encoding needs no database."""
    if name in ("Hit", "Index"):
        from . import index

        return getattr(index, name)
    if name == "AsyncEncoder":
        from .batching import AsyncEncoder  # it imports asyncio

        return AsyncEncoder
    if name == "SimCSE":
        # It imports the index.
        from .simcse import SimCSE

        return SimCSE
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
