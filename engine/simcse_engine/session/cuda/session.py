"""A session on a GPU, through ONNX Runtime's CUDA provider.

A run is three steps: lay its inputs out in page-locked memory and copy them over, compute, copy the vectors back. Bulk
work has several runs under way, each on a `RunSlot` of its own, so that one computes while others are laid out or
copied. Small runs are padded to a bucket and replayed as CUDA graphs.
"""

import queue
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...artifact.manifest import GRAPH, Manifest
from ...machine.forks import never_destroy
from ..feeds import Ints, packed
from ..graph import open_graph, settings
from ..library import CUDA
from ..session import SessionOptions
from .buckets import bucket, buckets_alone
from .cuda_graphs import CudaGraphs
from .cudart import CudaRuntime
from .shared_lock import GPU_LOCK
from .slot import RunSlot

if TYPE_CHECKING:
    import onnxruntime

# Runs under way: one computes, one is laid out, the vectors of one are copied.
_SLOTS = 3

_WARM_UP_TOKEN = 1


def provider_options(device_index: int, *, precision: str) -> dict[str, str]:
    """The options that the CUDA provider is opened with.

    Args:
        device_index: of the GPU.
        precision: the artifact's.
    """
    # The runtime prints a warning where a device is named, so the first one, its default, is not.
    device = {"device_id": str(device_index)} if device_index else {}
    return {
        **device,
        "enable_cuda_graph": "1",
        # Sums and norms in float32 within one kernel, also in float16 graphs.
        "enable_skip_layer_norm_strict_mode": "1",
        # Products of float32 with 10 bits of mantissa would not be what fp32 promises.
        "use_tf32": "0" if precision == "fp32" else "1",
        # Pieces of exactly the requested size fit nothing else, so memory would go on growing over runs of many sizes
        # (docs/decisions/022-cuda-graphs-and-memory.md).
        "arena_extend_strategy": "kNextPowerOfTwo",
    }


def open_cuda(artifact: Path, manifest: Manifest, options: SessionOptions) -> "CudaSession":
    """Open the graph of the artifact in ``artifact`` on a GPU, and record its runs of one sentence.

    Raises:
        RuntimeMissingError: no onnxruntime, or two of them.
        ProviderError: there is no such GPU, the provider does not load, or has no kernel of some node.
        IntegrityError: the runtime cannot read the graph.
    """
    session_settings = settings(options.threads)
    # A node without a kernel on the GPU is an error here, and never runs on the CPU.
    session_settings.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    provider = provider_options(options.device_index, precision=manifest.precision)
    with GPU_LOCK.shared():
        graph = open_graph(artifact / GRAPH, session_settings, CUDA, provider, device=options.device)
    session = CudaSession(graph, CudaRuntime(options.device_index), padding_id=manifest.padding_id)
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
        # One thread tells the GPU what to compute, see `cuda_graphs`.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="simcse-engine-cuda")
        self._slots: queue.LifoQueue[RunSlot] = queue.LifoQueue()
        for _ in range(_SLOTS):
            self._slots.put(RunSlot(session, runtime))
        self._cuda_graphs = CudaGraphs(session, runtime)

    @property
    def dimension(self) -> int:
        """See `Session`."""
        return int(self._session.get_outputs()[0].shape[1])

    def run(self, input_ids: Ints, lengths: Ints) -> NDArray[np.float32]:
        """See `Session`."""
        size = bucket(len(lengths), int(lengths.max()), len(input_ids))
        feed = packed(input_ids, lengths, self._padding_id, size)
        if size is not None and self._cuda_graphs.has_room_for(size):
            return self._thread.submit(self._cuda_graphs.run, size, feed).result()[: len(lengths)]
        slot = self._slots.get()
        try:
            slot.send(feed)
            self._thread.submit(slot.run).result()
            return slot.fetch()[: len(lengths)]
        finally:
            self._slots.put(slot)

    def abandon(self) -> None:
        """See `Session`."""
        for part in (self._session, self._runtime, self._cuda_graphs, self._slots):
            never_destroy(part)
