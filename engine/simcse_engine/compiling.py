"""Compiling: an artifact for TensorRT, made ready for the GPU of this machine, as a new whole artifact.

TensorRT chooses among kernels by measuring them, so an engine is for the kind of GPU that it was built on and for the
version that built it. It takes half a minute or more, which no request should wait for.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

from .artifact.manifest import ENGINE_FILES, GRAPH, Engine, Manifest
from .artifact.opening import open_artifact
from .artifact.output import check_output
from .encoder import Encoder
from .errors import InputValueError
from .files.atomic import whole_folder
from .inputs import checked_device
from .machine.nvidia import gpu
from .measure.parity import verify
from .session.session import SessionOptions
from .session.tensorrt.plans import profile
from .session.tensorrt.session import builder, compile_graph

Say = Callable[[str], object]


@dataclass(frozen=True, kw_only=True)
class CompileOptions:
    """How to compile.

    Attributes:
        device: "cuda" or "cuda:N", the GPU to compile on and for.
        timings: a folder where TensorRT keeps what it measured, so that the next compilation takes less time.
        force: replace an artifact that is there already.

    Raises:
        InputValueError: the device is no GPU.
    """

    device: str = "cuda"
    timings: Path | None = None
    force: bool = False

    def __post_init__(self) -> None:
        if self.device == "cpu":
            raise InputValueError("device='cpu': engines are compiled on and for a GPU; 'cuda' or 'cuda:N' is wanted")


def compile_artifact(
    artifact: Path, output: Path, options: CompileOptions | None = None, *, say: Say = str
) -> Manifest:
    """Compile the graph of an artifact for this machine's GPU, check the result there, and publish it whole or not.

    Args:
        artifact: the folder of an artifact for "tensorrt" or "tensorrt-rtx", compiled or not.
        output: the folder to make.
        options: how.
        say: called with a line on each step.

    Returns:
        The published manifest, with one engine and the parity measured on it.

    Raises:
        ArtifactError: the artifact is missing or damaged.
        InputValueError: it is for another target.
        ProviderError, RuntimeMissingError: no GPU, or a library is missing; says what to install.
        CompileError: no engine came of it.
        ParityError: its vectors differ from the reference model's; nothing was published.
        OutputError: ``output`` exists (without ``force``), is a folder of other things, or cannot be written.
    """
    options = options or CompileOptions()
    check_output(output, force=options.force)
    manifest = open_artifact(artifact)
    if manifest.max_batch is None:
        raise InputValueError(
            f"{artifact}: is for {manifest.target}, which runs it as it is; what is exported with --target tensorrt "
            "or tensorrt-rtx is compiled"
        )
    session = SessionOptions(device=checked_device(options.device, manifest))
    here = gpu(session.device_index)
    made_by = builder(manifest.target)
    if options.timings is not None:
        options.timings.mkdir(parents=True, exist_ok=True)
    with whole_folder(output, replace=options.force) as staging:
        for name in manifest.files:
            if not fnmatch(name, ENGINE_FILES):
                shutil.copyfile(artifact / name, staging / name)
        say(f"[1/2] compiling with {made_by} for {here.name}")
        engine = Engine(
            graph=(file := f"engine-{here.compute_capability}.onnx"),
            file=file,
            compute_capability=here.compute_capability,
            builder=made_by,
            gpu=here.name,
            profile=profile(manifest.max_batch, manifest.max_tokens),
        )
        compile_graph(
            *(staging / GRAPH, staging / file, manifest.target, session), sizes=engine.profile, timings=options.timings
        )
        # Verified already, since nobody sees this manifest unless it is.
        engines = {str(engine.compute_capability): engine}
        manifest = replace(manifest, engines=engines, files=Manifest.files_in(staging), parity=None, verified=True)
        manifest.write(staging)
        say("[2/2] comparing its vectors with the reference model's")
        with Encoder(staging, device=options.device) as encoder:
            measured = verify(encoder, staging)
        manifest = replace(manifest, parity=measured.to_json())
        manifest.write(staging)
    return manifest
