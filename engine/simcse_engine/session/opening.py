"""The session of an artifact, chosen by its manifest and the device."""

from pathlib import Path

from ..artifact.manifest import Manifest
from .cpu import CpuSession
from .kernels import NO_KERNELS, Kernels
from .session import Session


def open_session(
    artifact: Path, manifest: Manifest, device: str, *, threads: int, kernels: Kernels = NO_KERNELS
) -> Session:
    """Open the graph of the artifact in ``artifact``; on a CPU, so many threads share each run's work."""
    if device == "cpu":
        return CpuSession(
            artifact,
            threads=threads,
            layout=manifest.layout,
            padding_id=manifest.padding_id,
            include_prompt=manifest.include_prompt,
            variant=kernels.variant,
            # The runtime's operators compute in float32.
            folding=manifest.precision == "bf16",
        )
    # Imported lazily: a process that encodes one sentence on a CPU starts sooner.
    if manifest.target == "cuda":
        from .cuda.session import open_cuda

        return open_cuda(artifact, manifest, device)
    from .tensorrt.session import TensorRtSession

    return TensorRtSession(artifact, manifest, device)
