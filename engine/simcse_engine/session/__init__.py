"""Sessions: a graph on a device, ready to run. `open_session` chooses by what the manifest says.

library   ONNX Runtime itself: imported, or what is wrong with it
opening   a graph on one provider, or what is in the way
feeds     sentences → the arrays of a run
cpu       the session on a CPU
cuda      the session on a GPU; buckets, the shapes its small runs are padded to; turns, who records
          them; cudart, memory and copies
compiled  which engine of an artifact runs where, and what it takes
nvinfer   TensorRT and TensorRT for RTX: found, loaded
rtx       a graph on TensorRT for RTX
tensorrt  the session on either's engines, and how they are made
"""

from pathlib import Path

from ..artifact.manifest import Manifest
from .cpu import CpuSession
from .library import (
    available_providers,
    import_runtime,
    installed_builds,
    probe_provider,
    save_optimized,
)
from .session import Session, SessionOptions

__all__ = [
    "CpuSession",
    "Session",
    "SessionOptions",
    "available_providers",
    "import_runtime",
    "installed_builds",
    "open_session",
    "probe_provider",
    "save_optimized",
]


def open_session(artifact: Path, manifest: Manifest, options: SessionOptions) -> Session:
    """Open the graph of the artifact in ``artifact``, whose manifest has been read.

    Raises:
        RuntimeMissingError: no onnxruntime, or two of them.
        ProviderError: the device is not to be had.
        NotCompiledError: no engine in the artifact is for this GPU and TensorRT.
        IntegrityError: the runtime cannot read the graph.
    """
    if options.device == "cpu":
        return CpuSession(artifact, options, layout=manifest.layout, padding_id=manifest.padding_id)
    # Imported by those who have a GPU: a process that encodes one sentence on a CPU starts without.
    if manifest.target == "cuda":
        from .cuda.session import open_cuda

        return open_cuda(artifact, manifest, options)
    from .tensorrt.session import TensorRtSession

    return TensorRtSession(artifact, manifest, options)
