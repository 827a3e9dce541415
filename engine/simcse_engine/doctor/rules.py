"""Rules: what follows from the facts, and what to do about it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ..session.tensorrt.libraries import INSTALL_RTX, INSTALL_TENSORRT, TENSORRT
from ..session.tensorrt.plans import runs_rtx
from .facts import OPTIONAL, Facts

Level = Literal["problem", "advice", "ok"]

_TENSORRT_MAJOR = 10  # the one that onnxruntime's provider is linked to
_BINDINGS = "tensorrt-rtx-cu13-bindings"
# What to do where a provider is compiled in and does not load.
_REMEDIES = {
    "CPUExecutionProvider": "pip install --force-reinstall --no-deps {build}",
    "CUDAExecutionProvider": (
        "see that nvidia-smi answers (driver and GPU), then pip install 'simcse-engine[gpu]', which brings the CUDA "
        "and cuDNN libraries; to stay on the CPU: pip uninstall -y {build}, then pip install 'simcse-engine[cpu]'"
    ),
    TENSORRT: f"nothing if no artifact for tensorrt is to run; else {INSTALL_TENSORRT}",
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One conclusion; its fields are keys of the report's JSON.

    Attributes:
        level: "problem" (something cannot work), "advice" (it works, and could be better) or "ok".
        found: what is the case.
        todo: what to do about it; empty where it is fine.
    """

    level: Level
    found: str
    todo: str = ""


def judge(facts: Facts) -> tuple[Finding, ...]:
    """Derive the findings from the facts alone, the worst first."""
    findings = [*_judge_packages(facts), *_judge_runtime(facts), *_judge_driver(facts)]
    findings += [*_judge_cuda(facts), *_judge_tensorrt(facts), *_judge_rtx(facts)]
    findings += [*_judge_cpu(facts), _judge_threads(facts)]
    findings += [
        Finding(level="advice", found=f"could not be found out: {question}", todo="report this: doctor should know")
        for question in facts.unknown
    ]
    order: list[Level] = ["problem", "advice", "ok"]
    return tuple(sorted(findings, key=lambda finding: order.index(finding.level)))


def _judge_packages(facts: Facts) -> list[Finding]:
    missing = [name for name, version in facts.packages.items() if version is None and name not in OPTIONAL]
    if not missing:
        return []
    found = f"not installed: {', '.join(missing)}"
    return [Finding(level="problem", found=found, todo=f"pip install {' '.join(missing)}")]


def _judge_runtime(facts: Facts) -> list[Finding]:
    builds = list(facts.builds)
    either = "pip install 'simcse-engine[cpu]' for CPUs, or 'simcse-engine[gpu]' for NVIDIA GPUs"
    if len(builds) > 1:
        found = f"{' and '.join(builds)} are installed together and overwrite each other's files"
        return [Finding(level="problem", found=found, todo=f"pip uninstall -y {' '.join(builds)}, then {either}")]
    if facts.runtime is None and builds:
        todo = f"pip install --force-reinstall --no-deps {builds[0]}, or upgrade it"
        found = f"{builds[0]} is installed and cannot be loaded: {facts.runtime_error}"
        return [Finding(level="problem", found=found, todo=todo)]
    if facts.runtime is None:
        # pip counts a build as there when another's removal took its files along.
        todo = f"{either}; add --force-reinstall if pip takes it for installed"
        return [Finding(level="problem", found=f"onnxruntime is not installed ({facts.runtime_error})", todo=todo)]
    findings = [
        Finding(
            # Every build for GPUs has this provider, and most users do without it.
            level="advice" if name == TENSORRT else "problem",
            found=f"{name} is compiled into onnxruntime {facts.runtime} and does not load: {error}",
            todo=_REMEDIES[name].format(build=builds[0] if builds else "onnxruntime"),
        )
        for name, error in facts.providers.items()
        if error is not None
    ]
    loaded = [name for name, error in facts.providers.items() if error is None]
    if loaded:
        findings.append(Finding(level="ok", found=f"onnxruntime {facts.runtime} runs on {' and '.join(loaded)}"))
    if not facts.providers:
        found = f"onnxruntime {facts.runtime} has no provider that the engine runs on"
        findings.append(Finding(level="problem", found=found, todo=either))
    return findings


def _judge_cpu(facts: Facts) -> list[Finding]:
    dot_products = {"avx512_vnni", "avx_vnni", "dotprod"}.intersection(facts.features)
    if not facts.features:
        todo = "before choosing int8, measure it against fp32"
        return [Finding(level="advice", found="this system does not tell the CPU's features", todo=todo)]
    if dot_products:
        found = f"the CPU has int8 dot products ({', '.join(sorted(dot_products))})"
        return [Finding(level="ok", found=found)]
    lacks = "dotprod" if "neon" in facts.features else "VNNI" if "avx512" in facts.features else "VNNI and AVX512"
    found = f"the CPU has no {lacks}: int8 artifacts are slower here than elsewhere, perhaps slower than fp32"
    return [Finding(level="advice", found=found, todo="use fp32, which is right everywhere, or measure both")]


def _judge_threads(facts: Facts) -> Finding:
    threads = "1 thread" if facts.threads == 1 else f"{facts.threads} threads"
    if facts.quota is None or facts.quota >= facts.affinity:
        return Finding(level="ok", found=f"an encoder uses {threads}, one for each CPU of this process")
    found = f"the cgroup quota ({facts.quota:g} CPUs) is below affinity ({facts.affinity} CPUs): encoders use {threads}"
    todo = "nothing if the limit is meant; else raise the container's CPU limit, to a whole number"
    if facts.quota < 1:
        todo = "raise the container's CPU limit to 1 at least: with less, every run is stopped for a part of the time"
    return Finding(level="advice", found=found, todo=todo)


def _judge_driver(facts: Facts) -> Iterator[Finding]:
    if facts.cuda is None:
        return  # no GPU is no fault; what needs one says so itself
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
    # Since 13 the packages' names no longer end in the version.
    majors = {"nvidia-cuda-runtime-cu12": 12, "nvidia-cuda-runtime": 13}
    installed = {name: major for name, major in majors.items() if name in facts.nvidia}
    if installed and _major(facts.runtime_cuda) not in installed.values():
        yield Finding(
            level="problem",
            found=f"{', '.join(f'{name} {facts.nvidia[name]}' for name in installed)} is installed, and onnxruntime "
            f"{facts.runtime} is for CUDA {facts.runtime_cuda}",
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
        todo = "nothing if you only compile; to run it, see that nvidia-smi answers"
        yield Finding(level="advice", found=f"TensorRT for RTX {version} cannot run here: {error}", todo=todo)
    elif unfit:
        todo = "for these, export with --target cuda or tensorrt"
        yield Finding(level="advice", found=f"TensorRT for RTX does not run on {', '.join(unfit)}", todo=todo)
    else:
        yield Finding(level="ok", found=f"TensorRT for RTX {version} loads")


def _major(version: str) -> int:
    return int(version.partition(".")[0])
