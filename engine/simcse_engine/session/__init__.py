"""Sessions: a graph on a device, ready to run. `open_session` chooses by what the manifest says.

library   ONNX Runtime itself: imported, or what is wrong with it
opening   a graph on one provider, or what is in the way
feeds     sentences → the arrays of a run
cpu       the session on a CPU
cuda      the session on a GPU; buckets, the shapes its small runs are padded to; turns, who records
          them; cudart, memory and copies
"""

from pathlib import Path

from ..artifact import Manifest
from ..errors import ProviderError
from .cpu import CpuSession
from .cuda import GPU_RUNS, CudaSession, open_cuda
from .library import (
    available_providers,
    import_runtime,
    installed_builds,
    open_bytes,
    probe_provider,
    save_optimized,
)
from .session import Session, SessionOptions

__all__ = [
    "GPU_RUNS",
    "CpuSession",
    "CudaSession",
    "Session",
    "SessionOptions",
    "available_providers",
    "import_runtime",
    "installed_builds",
    "open_bytes",
    "open_session",
    "probe_provider",
    "save_optimized",
]


def open_session(artifact: Path, manifest: Manifest, options: SessionOptions) -> Session:
    """Open the graph of the artifact in ``artifact``, whose manifest has been read.

    Raises:
        RuntimeMissingError: no onnxruntime, or two of them.
        ProviderError: the device is not to be had.
        IntegrityError: the runtime cannot read the graph.
    """
    if options.device == "cpu":
        return CpuSession(artifact, options, layout=manifest.layout, padding_id=manifest.padding_id)
    if manifest.target == "cuda":
        return open_cuda(artifact, manifest, options)
    raise ProviderError(f"this engine has no session for {manifest.target} yet")
