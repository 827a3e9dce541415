"""Small runs as CUDA graphs: recorded once for each shape, then replayed.

A CUDA graph is recorded for the thread that runs it. When it is replayed it uses memory that the runtime has meanwhile
given back, and would give to a run beside it. So one thread runs everything on the GPU. Why this pays:
docs/decisions/022-cuda-graphs-and-memory.md.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..feeds import Size
from .buckets import LARGEST
from .cudart import CudaRuntime
from .shared_lock import GPU_LOCK
from .slot import RunSlot, run_options

if TYPE_CHECKING:
    import onnxruntime

# Each takes some memory of the GPU's driver; runs of further shapes are not recorded.
_MOST_GRAPHS = 64


class CudaGraphs:
    """The recorded runs. Only `has_room_for` may be called off the session's thread."""

    def __init__(self, session: "onnxruntime.InferenceSession", runtime: CudaRuntime) -> None:
        """Reserve the memory of all recorded runs of a graph in layout "packed"."""
        self._session = session
        self._slot = RunSlot(session, runtime)
        # Once and for all: a CUDA graph reads and writes where it was recorded.
        self._slot.reserve(LARGEST)
        self._recorded: dict[Size, tuple[Any, Any]] = {}

    def has_room_for(self, size: Size) -> bool:
        """Whether a run of this size is recorded or can be."""
        return size in self._recorded or len(self._recorded) < _MOST_GRAPHS

    def run(self, size: Size, feed: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Replay a run, or record it the first time: float32 [size.sentences, dimension]."""
        self._slot.copy(feed)
        if size in self._recorded:
            with GPU_LOCK.shared():
                self._session.run_with_iobinding(*self._recorded[size])
        else:
            arguments = self._slot.bind(feed), run_options(1 + len(self._recorded))
            with GPU_LOCK.alone():
                self._session.run_with_iobinding(*arguments)
            self._recorded[size] = arguments
        return self._slot.fetch()
