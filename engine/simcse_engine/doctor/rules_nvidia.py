"""What is wrong with NVIDIA's part of an installation: versions that cannot load each other, GPUs that are not fit."""

from collections.abc import Iterator, Mapping

from ..session.tensorrt.compiled import runs_rtx
from ..session.tensorrt.nvinfer import INSTALL_RTX, INSTALL_TENSORRT
from .facts import Facts
from .finding import Finding

_TENSORRT_MAJOR = 10  # the one that onnxruntime's provider is linked to
_BINDINGS = "tensorrt-rtx-cu13-bindings"


def judge_nvidia(facts: Facts) -> list[Finding]:
    """Derive the findings from the facts alone."""
    return [*_judge_driver(facts), *_judge_cuda(facts), *_judge_tensorrt(facts), *_judge_rtx(facts)]


def _judge_driver(facts: Facts) -> Iterator[Finding]:
    if facts.cuda is None:
        return  # no GPU is nobody's fault; what needs one says so itself
    gpus = ", ".join(f"cuda:{i} {gpu}" for i, gpu in enumerate(facts.gpus))
    if not gpus:
        todo = "see CUDA_VISIBLE_DEVICES, and in a container that the GPU is passed through"
        yield Finding(level="advice", found="the NVIDIA driver sees no GPU", todo=todo)
        return
    yield Finding(level="ok", found=f"the NVIDIA driver runs CUDA up to {facts.cuda} on {gpus}")
    if facts.runtime_cuda and _major(facts.cuda) < _major(facts.runtime_cuda):
        found = f"the driver runs CUDA up to {facts.cuda}, and onnxruntime {facts.runtime} is for {facts.runtime_cuda}"
        yield Finding(level="problem", found=found, todo=f"update the driver to one for CUDA {facts.runtime_cuda}")


def _judge_cuda(facts: Facts) -> Iterator[Finding]:
    """CUDA's libraries of one major version beside a runtime that is linked to another's."""
    if not facts.runtime_cuda:
        return
    wanted = _major(facts.runtime_cuda)
    # Since 13 the packages' names no longer end in the version.
    found = {"nvidia-cuda-runtime-cu12": 12, "nvidia-cuda-runtime": 13}
    installed = {name: major for name, major in found.items() if facts.nvidia.get(name)}
    if installed and wanted not in installed.values():
        yield Finding(
            level="problem",
            found=f"{_listed(facts.nvidia, *installed)} is installed, and onnxruntime {facts.runtime} is for CUDA "
            f"{facts.runtime_cuda}",
            todo="pip install 'simcse-engine[gpu]', which brings that version beside the other",
        )


def _judge_tensorrt(facts: Facts) -> Iterator[Finding]:
    """TensorRT of a version that onnxruntime's provider is not linked to."""
    installed = {name: version for name, version in facts.nvidia.items() if name in ("tensorrt-cu12", "tensorrt-cu13")}
    for name, version in installed.items():
        cuda = int(name[-2:])
        if _major(version) != _TENSORRT_MAJOR:
            found = f"{name} {version} is installed, and onnxruntime's provider loads TensorRT {_TENSORRT_MAJOR} alone"
        elif facts.runtime_cuda and cuda != _major(facts.runtime_cuda):
            found = f"{name} {version} is for CUDA {cuda}, and onnxruntime {facts.runtime} for {facts.runtime_cuda}"
        else:
            continue
        yield Finding(level="problem", found=found, todo=f"pip uninstall -y {name}, then {INSTALL_TENSORRT}")
    if loaded := facts.compilers.get("tensorrt"):
        yield Finding(level="ok", found=f"TensorRT {loaded} loads")


def _judge_rtx(facts: Facts) -> Iterator[Finding]:
    if "tensorrt-rtx" not in facts.compilers:
        return
    version, error = facts.compilers["tensorrt-rtx"], facts.rtx_error
    bindings = facts.nvidia.get(_BINDINGS)
    if version is None:
        yield Finding(
            level="problem", found=f"TensorRT for RTX is installed and does not load: {error}", todo=INSTALL_RTX
        )
        return
    if bindings and bindings != version:
        yield Finding(
            level="problem",
            found=f"{_BINDINGS} {bindings} is installed beside TensorRT for RTX {version}, which it cannot load",
            todo=INSTALL_RTX,
        )
    unfit = [str(gpu) for gpu in facts.gpus if not runs_rtx(gpu.compute_capability)]
    if error:
        todo = "nothing where it shall only compile; to run it, see that nvidia-smi answers"
        yield Finding(level="advice", found=f"TensorRT for RTX {version} cannot run here: {error}", todo=todo)
    elif unfit:
        todo = "for these, export with --target cuda or tensorrt"
        yield Finding(level="advice", found=f"TensorRT for RTX does not run on {', '.join(unfit)}", todo=todo)
    else:
        yield Finding(level="ok", found=f"TensorRT for RTX {version} loads")


def _major(version: str) -> int:
    return int(version.partition(".")[0])


def _listed(versions: Mapping[str, str], *names: str) -> str:
    return ", ".join(f"{name} {versions[name]}" for name in names)
