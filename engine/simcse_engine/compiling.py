"""Compiling: an artifact for TensorRT, made ready for the GPU of this machine, as a new whole artifact.

TensorRT chooses among kernels by measuring them, so a plan is for the kind of GPU that it was made on and for the
version that made it. Making one takes half a minute or more, for which no request should wait.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

from .artifact.manifest import ENGINE_FILES, GRAPH, Manifest
from .artifact.opening import open_artifact
from .artifact.output import check_output
from .artifact.parts import Plan
from .encoder import Encoder
from .errors import InputValueError
from .files.atomic import whole_folder
from .inputs import checked_device
from .machine.device import parse_device
from .machine.nvidia import gpu
from .measure.parity import verify
from .session.tensorrt.plans import profile
from .session.tensorrt.session import builder, compile_graph
from .wording import argument


@dataclass(frozen=True, kw_only=True)
class CompileOptions:
    """How to compile.

    Attributes:
        device: "cuda" or "cuda:N", the GPU to compile on and for.
        timings: a folder where TensorRT keeps its measurements, so that the next compilation takes less time; those of
            each version lie apart in it.
        force: replace an artifact at the output.

    Raises:
        InputValueError: the device is no GPU.
    """

    device: str = "cuda"
    timings: Path | None = None
    force: bool = False

    def __post_init__(self) -> None:
        if self.device == "cpu":
            raise InputValueError(
                argument("device", "cpu"), ": plans are compiled on and for a GPU; expected 'cuda' or 'cuda:N'"
            )


def compile_artifact(
    artifact: Path, output: Path, options: CompileOptions | None = None, *, say: Callable[[str], object] = str
) -> Manifest:
    """Compile the graph of an artifact for this machine's GPU, check the result there, and publish it whole or not.

    Args:
        artifact: the folder of an artifact for "tensorrt" or "tensorrt-rtx", compiled or not.
        output: the folder to make.
        options: how to compile.
        say: called with a line for each step.

    Returns:
        The published manifest, with one plan and the parity measured on it.

    Raises:
        ArtifactError: the artifact is missing or damaged.
        InputValueError: it is for another target.
        ProviderError, RuntimeMissingError: no GPU, or a library is missing; says what to install.
        CompileError: no plan came of it.
        ParityError: its vectors differ from the reference model's; nothing was published.
        OutputError: ``output`` exists (without ``force``), is a folder of other things, or cannot be written.
    """
    options = options or CompileOptions()
    check_output(output, force=options.force)
    manifest = open_artifact(artifact)
    if manifest.max_batch is None:
        raise InputValueError(
            f"{artifact}: is for {manifest.target}, which runs it as it is; only artifacts exported with --target "
            "tensorrt or tensorrt-rtx are compiled"
        )
    device = checked_device(options.device, manifest)
    _, index = parse_device(device)
    target_gpu = gpu(index)
    compiler = builder(manifest.target)
    timings = None if options.timings is None else options.timings / compiler.replace(" ", "-")
    if timings is not None:
        timings.mkdir(parents=True, exist_ok=True)
    with whole_folder(output, replace=options.force) as staging:
        for name in manifest.files:
            if not fnmatch(name, ENGINE_FILES):
                shutil.copyfile(artifact / name, staging / name)
        say(f"[1/2] compiling with {compiler} for {target_gpu.name}")
        file = f"engine-{target_gpu.compute_capability}.onnx"
        plan = Plan(
            graph=file,
            file=file,
            compute_capability=target_gpu.compute_capability,
            builder=compiler,
            gpu=target_gpu.name,
            profile=profile(manifest.max_batch, manifest.max_tokens),
        )
        graph, output_graph = staging / GRAPH, staging / file
        compile_graph(graph, output_graph, manifest.target, device, sizes=plan.profile, timings=timings)
        # Stated beforehand: without verification, this manifest is never published.
        engines = {str(plan.compute_capability): plan}
        manifest = replace(manifest, engines=engines, files=Manifest.files_in(staging), parity=None, verified=True)
        manifest.write(staging)
        say("[2/2] comparing its vectors with the reference model's")
        with Encoder(staging, device=device) as encoder:
            parity = verify(encoder, staging)
        manifest = replace(manifest, parity=parity.to_json())
        manifest.write(staging)
    return manifest
