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
from ...machine.device import parse_device
from ..feeds import Ints, packed
from ..graph import check_interface, gpu_settings, open_graph
from ..library import CUDA
from ..session import Session
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
    """The options that the CUDA provider is opened with, for a GPU and an artifact's precision."""
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


def open_cuda(artifact: Path, manifest: Manifest, device: str) -> "CudaSession":
    """Open the graph of the artifact in ``artifact`` on a GPU, and record its runs of one sentence."""
    _, index = parse_device(device)
    options = provider_options(index, precision=manifest.precision)
    with GPU_LOCK.shared():
        graph = open_graph(artifact / GRAPH, gpu_settings(), CUDA, options, device=device)
    check_interface(graph, artifact / GRAPH, manifest.layout)
    session = CudaSession(graph, CudaRuntime(index), padding_id=manifest.padding_id)
    for size in buckets_alone(manifest.max_tokens):
        session.run(np.full(size.tokens, _WARM_UP_TOKEN), np.array([size.tokens]))
    return session


class CudaSession(Session):
    """One graph in layout "packed" on one GPU."""

    def __init__(
        self, session: "onnxruntime.InferenceSession", runtime: CudaRuntime, *, padding_id: int | None
    ) -> None:
        """Run an open graph; ``padding_id`` is the manifest's."""
        super().__init__(session)
        self._padding_id = padding_id
        # One thread tells the GPU what to compute, see `cuda_graphs`.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="simcse-engine-cuda")
        self._slots: queue.LifoQueue[RunSlot] = queue.LifoQueue()
        for _ in range(_SLOTS):
            self._slots.put(RunSlot(session, runtime))
        self._cuda_graphs = CudaGraphs(session, runtime)

    def run(self, input_ids: Ints, lengths: Ints, skipped: int = 0) -> NDArray[np.float32]:  # noqa: ARG002
        """See `Session`; no graph for a GPU leaves tokens out."""
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
