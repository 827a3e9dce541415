"""A session on a GPU, through ONNX Runtime's CUDA provider.

A run is three steps: lay its inputs out in page-locked memory and copy them over, compute, copy the vectors back. Bulk
work has several runs under way, on a `_Desk` each, so that one computes while others are laid out or copied. Small runs
are padded to a bucket and replayed as CUDA graphs.

Whatever computes is told to by one thread. A CUDA graph is recorded for the thread that runs it, and when it is
replayed it uses memory that the runtime has meanwhile given back, and would give to a run beside it.
"""

import queue
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...artifact.manifest import GRAPH, Manifest
from ...machine.forks import never_destroy
from ..feeds import Ints, Size, packed
from ..library import CUDA, import_runtime
from ..opening import open_graph, settings
from ..session import SessionOptions
from .buckets import bucket, buckets_alone, largest
from .cudart import CudaRuntime, Mirror
from .turns import TURNS

if TYPE_CHECKING:
    import onnxruntime

# Runs under way: one that computes, one that is laid out, one whose vectors are copied.
_DESKS = 3

# Recorded at most, each with some memory of the GPU's driver; further shapes run unrecorded.
_MOST_GRAPHS = 64
_UNRECORDED = -1

# Where an array may begin, for any kernel that reads it.
_ALIGNMENT = 256
_OUTPUT = "sentence_embedding"
_WARM_UP_TOKEN = 1


def provider_options(device_index: int, *, precision: str) -> dict[str, str]:
    """What the CUDA provider is opened with.

    Args:
        device_index: of the GPU.
        precision: the artifact's.
    """
    # The runtime prints a warning for whoever names a device, which is the first one anyway.
    device = {"device_id": str(device_index)} if device_index else {}
    return {
        **device,
        "enable_cuda_graph": "1",
        # Sums and norms in float32 within one kernel, also in float16 graphs.
        "enable_skip_layer_norm_strict_mode": "1",
        # Products of float32 with 10 bits of mantissa would not be what fp32 promises.
        "use_tf32": "0" if precision == "fp32" else "1",
        # Pieces of just the size that was asked for fit nothing else: over runs of many sizes they added up to several
        # times what the largest needs, and went on growing (float32 MiniLM: to more than 6 GB).
        "arena_extend_strategy": "kNextPowerOfTwo",
    }


def open_cuda(artifact: Path, manifest: Manifest, options: SessionOptions) -> "CudaSession":
    """Open the graph of the artifact in ``artifact`` on a GPU, and record its runs of one sentence.

    Raises:
        RuntimeMissingError: no onnxruntime, or two of them.
        ProviderError: there is no such GPU, the provider does not load, or has no kernel of some node.
        IntegrityError: the runtime cannot read the graph.
    """
    made = settings(options.threads)
    # A node without a kernel on the GPU is an error here, and never run on the CPU.
    made.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    given = provider_options(options.device_index, precision=manifest.precision)
    with TURNS.working():
        opened = open_graph(artifact / GRAPH, made, CUDA, given, device=options.device)
    session = CudaSession(opened, CudaRuntime(options.device_index), padding_id=manifest.padding_id)
    for size in buckets_alone(manifest.max_tokens):
        session.run(np.full(size.tokens, _WARM_UP_TOKEN), np.array([size.tokens]))
    return session


class CudaSession:
    """One graph in layout "packed" on one GPU; see `Session`."""

    def __init__(
        self, session: "onnxruntime.InferenceSession", runtime: CudaRuntime, *, padding_id: int | None
    ) -> None:
        """Run an open graph.

        Args:
            session: on the GPU.
            runtime: CUDA's library on that GPU.
            padding_id: the manifest's: how positions count.
        """
        self._session = session
        self._padding_id = padding_id
        self._runtime = runtime
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="simcse-engine-cuda")
        self._desks: queue.LifoQueue[_Desk] = queue.LifoQueue()
        for _ in range(_DESKS):
            self._desks.put(_Desk(session, runtime))
        self._graphs = _Graphs(session, runtime)

    @property
    def dimension(self) -> int:
        """See `Session`."""
        return int(self._session.get_outputs()[0].shape[1])

    def run(self, input_ids: Ints, lengths: Ints) -> NDArray[np.float32]:
        """See `Session`."""
        size = bucket(len(lengths), int(lengths.max()), len(input_ids))
        feed = packed(input_ids, lengths, self._padding_id, size)
        if size is not None and self._graphs.has_room_for(size):
            return self._thread.submit(self._graphs.run, size, feed).result()[: len(lengths)]
        desk = self._desks.get()
        try:
            desk.send(feed)
            self._thread.submit(desk.run).result()
            return desk.fetch()[: len(lengths)]
        finally:
            self._desks.put(desk)

    def abandon(self) -> None:
        """See `Session`."""
        for part in (self._session, self._runtime, self._graphs, self._desks):
            never_destroy(part)


class _Desk:
    """Where a run's inputs and vectors lie, here and on the GPU, and the binding that tells the runtime so."""

    def __init__(self, session: "onnxruntime.InferenceSession", runtime: CudaRuntime) -> None:
        self._session = session
        self._runtime = runtime
        self._dimension = int(session.get_outputs()[0].shape[1])
        self._inputs = self._vectors = runtime.mirror(_ALIGNMENT)
        self._rows = 0
        self._binding: Any = None

    def hold(self, size: Size) -> None:
        """Make room for a run of this size; what lies here may move."""
        places = size.sentences * size.longest
        arrays = (size.tokens, size.tokens, size.sentences + 1, places)
        self._inputs = _at_least(self._inputs, sum(_aligned(4 * count) for count in arrays), self._runtime)
        self._vectors = _at_least(self._vectors, 4 * size.sentences * self._dimension, self._runtime)

    def send(self, feed: Mapping[str, NDArray[Any]]) -> None:
        """Copy a run's inputs to the GPU and bind them."""
        sentences, longest = feed["token_offset"].shape
        self.hold(Size(sentences, longest, len(feed["input_ids"])))
        self._binding = self.bind(feed)
        self.copy(feed)

    def bind(self, feed: Mapping[str, NDArray[Any]]) -> Any:
        """A binding of arrays of these shapes to this desk's memory."""
        binding = self._session.io_binding()
        where = self._runtime.where
        for name, start in _places(feed).items():
            array = feed[name]
            binding.bind_input(name, *where, np.int32, list(array.shape), self._inputs.address + start)
        shape = [feed["token_offset"].shape[0], self._dimension]
        binding.bind_output(_OUTPUT, *where, np.float32, shape, self._vectors.address)
        return binding

    def copy(self, feed: Mapping[str, NDArray[Any]]) -> None:
        """Copy a run's inputs to the GPU."""
        end = 0
        for name, start in _places(feed).items():
            array = feed[name]
            end = start + array.nbytes
            self._inputs.bytes[start:end].view(np.int32)[:] = array.ravel()
        self._inputs.send(end)
        self._rows = feed["token_offset"].shape[0]

    def run(self) -> None:
        """Compute what was sent; on the session's thread."""
        with TURNS.working():
            self._session.run_with_iobinding(self._binding, _graph_options(_UNRECORDED))

    def fetch(self) -> NDArray[np.float32]:
        """The vectors, float32 [sentences, dimension]."""
        count = self._rows * self._dimension
        self._vectors.fetch(4 * count)
        # A copy: the next run's come to the same place.
        return self._vectors.bytes[: 4 * count].view(np.float32).reshape(self._rows, -1).copy()


class _Graphs:
    """The recorded runs; all but `has_room_for` on the session's thread."""

    def __init__(self, session: "onnxruntime.InferenceSession", runtime: CudaRuntime) -> None:
        self._session = session
        self._desk = _Desk(session, runtime)
        # Once and for all: a graph reads and writes where it was recorded.
        self._desk.hold(largest())
        self._recorded: dict[Size, tuple[Any, Any]] = {}

    def has_room_for(self, size: Size) -> bool:
        """Whether a run of this size is recorded or can be."""
        return size in self._recorded or len(self._recorded) < _MOST_GRAPHS

    def run(self, size: Size, feed: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Run a graph, the first time to record it: float32 [size.sentences, dimension]."""
        self._desk.copy(feed)
        if size in self._recorded:
            with TURNS.working():
                self._session.run_with_iobinding(*self._recorded[size])
        else:
            found = self._desk.bind(feed), _graph_options(1 + len(self._recorded))
            with TURNS.recording():
                self._session.run_with_iobinding(*found)
            self._recorded[size] = found
        return self._desk.fetch()


def _graph_options(number: int) -> Any:
    options = import_runtime().RunOptions()
    options.add_run_config_entry("gpu_graph_id", str(number))
    return options


def _places(feed: Mapping[str, NDArray[Any]]) -> dict[str, int]:
    """Where each array begins, in bytes, one after the other."""
    starts, end = {}, 0
    for name, array in feed.items():
        starts[name] = end
        end += _aligned(array.nbytes)
    return starts


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _at_least(mirror: Mirror, size: int, runtime: CudaRuntime) -> Mirror:
    """The mirror, or a larger one: in powers of two, so that a run that is a little longer needs no other."""
    have = len(mirror.bytes)
    return mirror if have >= size else runtime.mirror(1 << (size - 1).bit_length())
