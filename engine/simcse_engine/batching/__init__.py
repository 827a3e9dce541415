"""Concurrent callers' texts, joined into the engine's runs.

`job.py` is one caller's texts; `queue.py` decides whose run next; `batcher.py` runs them on a thread of its own;
`cache.py` remembers vectors by text; `async_encoder.py` is all of it for asyncio.
"""

from .async_encoder import AsyncEncoder, BatchingOptions
from .job import Encoded

__all__ = ["AsyncEncoder", "BatchingOptions", "Encoded"]
