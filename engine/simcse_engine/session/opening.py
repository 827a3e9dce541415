"""The session of an artifact, chosen by its manifest and the device."""

from pathlib import Path

from ..artifact.manifest import Manifest
from .cpu import CpuSession
from .session import Session


def open_session(artifact: Path, manifest: Manifest, device: str, *, threads: int) -> Session:
    """Open the graph of the artifact in ``artifact``; on a CPU, so many threads share each run's work."""
    if device == "cpu":
        return CpuSession(artifact, threads=threads, layout=manifest.layout, padding_id=manifest.padding_id)
    # Imported lazily: a process that encodes one sentence on a CPU starts sooner.
    if manifest.target == "cuda":
        from .cuda.session import open_cuda

        return open_cuda(artifact, manifest, device)
    from .tensorrt.session import TensorRtSession

    return TensorRtSession(artifact, manifest, device)
