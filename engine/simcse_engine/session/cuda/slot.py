"""Where a run's inputs and vectors lie, here and on the GPU."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..feeds import Size
from ..library import import_runtime
from .cudart import CudaRuntime, PinnedBuffer
from .shared_lock import GPU_LOCK

if TYPE_CHECKING:
    import onnxruntime

# The number that the runtime takes for a run that it does not record.
UNRECORDED = -1

# Where an array may begin, for any kernel that reads it.
_ALIGNMENT = 256
_OUTPUT = "sentence_embedding"


class RunSlot:
    """The memory of one run, and the binding that tells the runtime where it is."""

    def __init__(self, session: "onnxruntime.InferenceSession", runtime: CudaRuntime) -> None:
        """Allocate little, for a graph in layout "packed"; `reserve` allocates what a run needs."""
        self._session = session
        self._runtime = runtime
        self._dimension = int(session.get_outputs()[0].shape[1])
        self._inputs = self._vectors = runtime.buffer(_ALIGNMENT)
        self._rows = 0
        self._binding: Any = None

    def reserve(self, size: Size) -> None:
        """Make room for a run of this size; what lies here may move."""
        places = size.sentences * size.longest
        counts = (size.tokens, size.tokens, size.sentences + 1, places)
        self._inputs = _at_least(self._inputs, sum(_aligned(4 * count) for count in counts), self._runtime)
        self._vectors = _at_least(self._vectors, 4 * size.sentences * self._dimension, self._runtime)

    def send(self, feed: Mapping[str, NDArray[Any]]) -> None:
        """Copy a run's inputs to the GPU and bind them."""
        sentences, longest = feed["token_offset"].shape
        self.reserve(Size(sentences, longest, len(feed["input_ids"])))
        self._binding = self.bind(feed)
        self.copy(feed)

    def bind(self, feed: Mapping[str, NDArray[Any]]) -> Any:
        """A binding of arrays of these shapes to this slot's memory."""
        binding = self._session.io_binding()
        device = self._runtime.device
        for name, start in _starts(feed).items():
            array = feed[name]
            binding.bind_input(name, *device, np.int32, list(array.shape), self._inputs.address + start)
        shape = [feed["token_offset"].shape[0], self._dimension]
        binding.bind_output(_OUTPUT, *device, np.float32, shape, self._vectors.address)
        return binding

    def copy(self, feed: Mapping[str, NDArray[Any]]) -> None:
        """Copy a run's inputs to the GPU."""
        end = 0
        for name, start in _starts(feed).items():
            array = feed[name]
            end = start + array.nbytes
            self._inputs.bytes[start:end].view(np.int32)[:] = array.ravel()
        self._inputs.send(end)
        self._rows = feed["token_offset"].shape[0]

    def run(self) -> None:
        """Compute what was sent; on the session's thread."""
        with GPU_LOCK.shared():
            self._session.run_with_iobinding(self._binding, run_options(UNRECORDED))

    def fetch(self) -> NDArray[np.float32]:
        """The vectors, float32 [sentences, dimension]."""
        count = self._rows * self._dimension
        self._vectors.fetch(4 * count)
        # A copy: the vectors of the next run come to the same place.
        return self._vectors.bytes[: 4 * count].view(np.float32).reshape(self._rows, -1).copy()


def run_options(number: int) -> Any:
    """The options of a run; ``number`` is that of its CUDA graph, or `UNRECORDED`."""
    options = import_runtime().RunOptions()
    options.add_run_config_entry("gpu_graph_id", str(number))
    return options


def _starts(feed: Mapping[str, NDArray[Any]]) -> dict[str, int]:
    """Where each array begins, in bytes, one after the other."""
    starts, end = {}, 0
    for name, array in feed.items():
        starts[name] = end
        end += _aligned(array.nbytes)
    return starts


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _at_least(buffer: PinnedBuffer, size: int, runtime: CudaRuntime) -> PinnedBuffer:
    """The buffer, or a larger one: in powers of two, so that slightly longer runs fit too."""
    return buffer if len(buffer.bytes) >= size else runtime.buffer(1 << (size - 1).bit_length())
