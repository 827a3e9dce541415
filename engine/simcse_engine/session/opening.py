"""The session of an artifact, chosen by its manifest and the device."""

from pathlib import Path

from ..artifact.manifest import Manifest
from .cpu import CpuSession
from .session import Session, SessionOptions


def open_session(artifact: Path, manifest: Manifest, options: SessionOptions) -> Session:
    """Open the graph of the artifact in ``artifact``.

    Args:
        artifact: its folder.
        manifest: its manifest.
        options: device and threads.

    Raises:
        RuntimeMissingError: no onnxruntime, or two of them.
        ProviderError: the device is not available.
        NotCompiledError: the artifact holds no plan for this GPU and TensorRT.
        IntegrityError: the runtime cannot read the graph.
    """
    if options.device == "cpu":
        return CpuSession(artifact, options, layout=manifest.layout, padding_id=manifest.padding_id)
    # Imported lazily: a process that encodes one sentence on a CPU starts sooner.
    if manifest.target == "cuda":
        from .cuda.session import open_cuda

        return open_cuda(artifact, manifest, options)
    from .tensorrt.session import TensorRtSession

    return TensorRtSession(artifact, manifest, options)
