"""simcse-engine: trained SimCSE checkpoints as fast, torch-free sentence encoders.

>>> from simcse_engine import Encoder
>>> Encoder(artifact).encode(["A man plays a guitar."]).shape
(1, 384)
"""

from ._version import __version__
from .artifact import Manifest
from .encoder import Encoder
from .errors import SimCSEError, TruncationWarning

__all__ = ["Encoder", "Manifest", "SimCSEError", "TruncationWarning", "__version__"]
