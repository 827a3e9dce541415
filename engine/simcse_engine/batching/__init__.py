"""Concurrent callers' texts, joined into the engine's runs.

`job.py` is one caller's texts, `intake.py` how they are checked and weighed; `cache.py` remembers vectors by text;
`backlog.py` counts what waits, `queue.py` decides whose texts run next; `runs.py` encodes texts of several jobs, on the
threads of `batcher.py`; `async_encoder.py` is all of it for asyncio.
"""

from .async_encoder import AsyncEncoder, BatchingOptions
from .job import Encoded
from .runs import Run

__all__ = ["AsyncEncoder", "BatchingOptions", "Encoded", "Run"]
