"""Rules: what follows from the facts, and what to do about it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ..machine.cpu import THREADS_VARIABLE
from ..machine.kernels import LEAST_FEATURES, REINSTALL, UNTRIED, VARIABLE
from ..session.tensorrt.libraries import INSTALL_RTX, TENSORRT, install_tensorrt
from ..session.tensorrt.plans import runs_rtx
from .facts import OPTIONAL, Facts

Level = Literal["problem", "advice", "ok"]

_BINDINGS = "tensorrt-rtx-cu13-bindings"
# What to do where a provider is compiled in and does not load.
_REMEDIES = {
    "CPUExecutionProvider": "pip install --force-reinstall --no-deps {build}",
    "CUDAExecutionProvider": (
        "see that nvidia-smi answers (driver and GPU), then pip install 'simcse-engine[gpu]', which brings the CUDA "
        "and cuDNN libraries; to stay on the CPU: pip uninstall -y {build}, then pip install 'simcse-engine[cpu]'"
    ),
    TENSORRT: "nothing if no artifact for tensorrt is to run; else {tensorrt}",
}


@dataclass(frozen=True)
class Finding:
    """One conclusion; its fields are keys of the report's JSON."""

    level: Level  # "problem" (something cannot work), "advice" (it works, and could be better) or "ok"
    found: str  # what is the case
    todo: str = ""  # what to do about it; empty where it is fine


def judge(facts: Facts) -> tuple[Finding, ...]:
    """Derive the findings from the facts alone, the worst first."""
    rules = (_packages, _runtime, _driver, _cuda, _tensorrt, _rtx, _cpu, _kernels, _threads, _unknown)
    findings = [finding for rule in rules for finding in rule(facts)]
    order: list[Level] = ["problem", "advice", "ok"]
    return tuple(sorted(findings, key=lambda finding: order.index(finding.level)))


def _packages(facts: Facts) -> Iterator[Finding]:
    missing = [name for name, version in facts.packages.items() if version is None and name not in OPTIONAL]
    if missing:
        yield Finding("problem", f"not installed: {', '.join(missing)}", f"pip install {' '.join(missing)}")


def _runtime(facts: Facts) -> Iterator[Finding]:
    builds = list(facts.builds)
    either = "pip install 'simcse-engine[cpu]' for CPUs, or 'simcse-engine[gpu]' for NVIDIA GPUs"
    if len(builds) > 1:
        found = f"{' and '.join(builds)} are installed together and overwrite each other's files"
        yield Finding("problem", found, f"pip uninstall -y {' '.join(builds)}, then {either}")
        return
    if facts.runtime is None and builds:
        found = f"{builds[0]} is installed and cannot be loaded: {facts.runtime_error}"
        yield Finding("problem", found, f"pip install --force-reinstall --no-deps {builds[0]}, or upgrade it")
        return
    if facts.runtime is None:
        # pip counts a build as there when another's removal took its files along.
        todo = f"{either}; add --force-reinstall if pip takes it for installed"
        yield Finding("problem", f"onnxruntime is not installed ({facts.runtime_error})", todo)
        return
    for name, error in facts.providers.items():
        if error is not None:
            # Every build for GPUs has this provider, and most users do without it.
            level: Level = "advice" if name == TENSORRT else "problem"
            found = f"{name} is compiled into onnxruntime {facts.runtime} and does not load: {error}"
            build, tensorrt = builds[0] if builds else "onnxruntime", install_tensorrt(facts.tensorrt_major)
            yield Finding(level, found, _REMEDIES[name].format(build=build, tensorrt=tensorrt))
    loaded = [name for name, error in facts.providers.items() if error is None]
    if loaded:
        yield Finding("ok", f"onnxruntime {facts.runtime} runs on {' and '.join(loaded)}")
    if not facts.providers:
        yield Finding("problem", f"onnxruntime {facts.runtime} has no provider that the engine runs on", either)


def _driver(facts: Facts) -> Iterator[Finding]:
    if facts.cuda is None:
        return  # no GPU is no fault; what needs one says so itself
    gpus = ", ".join(f"cuda:{i} {gpu}" for i, gpu in enumerate(facts.gpus))
    if not gpus:
        todo = "see CUDA_VISIBLE_DEVICES, and in a container that the GPU is passed through"
        yield Finding("advice", "the NVIDIA driver sees no GPU", todo)
        return
    alone = "; an encoder takes cuda:0 alone unless --devices names more" if len(facts.gpus) > 1 else ""
    yield Finding("ok", f"the NVIDIA driver runs CUDA up to {facts.cuda} on {gpus}{alone}")
    if facts.runtime_cuda and _major(facts.cuda) < _major(facts.runtime_cuda):
        found = f"the driver runs CUDA up to {facts.cuda}, and onnxruntime {facts.runtime} is for {facts.runtime_cuda}"
        yield Finding("problem", found, f"update the driver to one for CUDA {facts.runtime_cuda}")


def _cuda(facts: Facts) -> Iterator[Finding]:
    """CUDA's libraries of one major version beside a runtime that is linked to another's."""
    if not facts.runtime_cuda:
        return
    # Since 13 the packages' names no longer end in the version.
    majors = {"nvidia-cuda-runtime-cu12": 12, "nvidia-cuda-runtime": 13}
    installed = {name: major for name, major in majors.items() if name in facts.nvidia}
    if installed and _major(facts.runtime_cuda) not in installed.values():
        versions = ", ".join(f"{name} {facts.nvidia[name]}" for name in installed)
        found = f"{versions} is installed, and onnxruntime {facts.runtime} is for CUDA {facts.runtime_cuda}"
        yield Finding("problem", found, "pip install 'simcse-engine[gpu]', which brings that version beside the other")


def _tensorrt(facts: Facts) -> Iterator[Finding]:
    """TensorRT of a version that onnxruntime's provider is not linked to."""
    installed = {name: version for name, version in facts.nvidia.items() if name in ("tensorrt-cu12", "tensorrt-cu13")}
    for name, version in installed.items():
        cuda = int(name[-2:])
        if _major(version) != (linked := facts.tensorrt_major):
            found = f"{name} {version} is installed, and onnxruntime's provider loads TensorRT {linked} alone"
        elif facts.runtime_cuda and cuda != _major(facts.runtime_cuda):
            found = f"{name} {version} is for CUDA {cuda}, and onnxruntime {facts.runtime} for {facts.runtime_cuda}"
        else:
            continue
        yield Finding("problem", found, f"pip uninstall -y {name}, then {install_tensorrt(facts.tensorrt_major)}")
    if loaded := facts.compilers.get("tensorrt"):
        yield Finding("ok", f"TensorRT {loaded} loads")


def _rtx(facts: Facts) -> Iterator[Finding]:
    if "tensorrt-rtx" not in facts.compilers:
        return
    version, error = facts.compilers["tensorrt-rtx"], facts.rtx_error
    if version is None:
        yield Finding("problem", f"TensorRT for RTX is installed and does not load: {error}", INSTALL_RTX)
        return
    bindings = facts.nvidia.get(_BINDINGS)
    if bindings and bindings != version:
        found = f"{_BINDINGS} {bindings} is installed beside TensorRT for RTX {version}, which it cannot load"
        yield Finding("problem", found, INSTALL_RTX)
    unfit = [str(gpu) for gpu in facts.gpus if not runs_rtx(gpu.compute_capability)]
    if error:
        todo = "nothing if you only compile; to run it, see that nvidia-smi answers"
        yield Finding("advice", f"TensorRT for RTX {version} cannot run here: {error}", todo)
    elif unfit:
        todo = "for these, export with --target cuda or tensorrt"
        yield Finding("advice", f"TensorRT for RTX does not run on {', '.join(unfit)}", todo)
    else:
        yield Finding("ok", f"TensorRT for RTX {version} loads")


def _cpu(facts: Facts) -> Iterator[Finding]:
    dot_products = {"avx512_vnni", "avx_vnni", "dotprod"}.intersection(facts.features)
    if not facts.features:
        todo = "before choosing int8, measure it against fp32"
        yield Finding("advice", "this system does not tell the CPU's features", todo)
    elif dot_products:
        yield Finding("ok", f"the CPU has int8 dot products ({', '.join(sorted(dot_products))})")
    else:
        lacks = "dotprod" if "neon" in facts.features else "VNNI" if "avx512" in facts.features else "VNNI and AVX512"
        found = f"the CPU has no {lacks}: int8 artifacts are slower here than elsewhere, perhaps slower than fp32"
        yield Finding("advice", found, "use fp32, which is right everywhere, or measure both")


def _kernels(facts: Facts) -> Iterator[Finding]:
    if not facts.kernels and LEAST_FEATURES.isdisjoint(facts.features):
        yield Finding("ok", "our kernels are not for this CPU: onnxruntime's own operators run")
    elif not facts.kernels:
        found = f"our kernels do not run, and onnxruntime's operators are slower: {facts.kernels_error}"
        yield Finding("advice", found, REINSTALL)
    elif facts.kernels_run is not None:
        yield Finding("ok", f"our kernels for {facts.kernels_run} run graphs that are written for them")
    elif set(facts.kernels) <= UNTRIED:
        untried = " or ".join(facts.kernels)
        found = f"our kernels for this CPU ({untried}) were not tried on one yet, and do not run by default"
        yield Finding(
            "advice", found, f"{VARIABLE}={untried} runs them; simcse-engine verify says whether they are right"
        )
    else:
        yield Finding("advice", f"{VARIABLE} is none: onnxruntime's operators run, more slowly", f"unset {VARIABLE}")


def _threads(facts: Facts) -> Iterator[Finding]:
    threads = "1 thread" if facts.threads == 1 else f"{facts.threads} threads"
    # As `usable_cpus` counts them.
    allowed = facts.affinity if facts.quota is None else max(1, min(facts.affinity, math.floor(facts.quota)))
    if facts.omp_threads is not None and facts.omp_threads < allowed:
        found = f"{THREADS_VARIABLE} is {facts.omp_threads}, and {allowed} CPUs are allowed: encoders use {threads}"
        yield Finding("advice", found, f"nothing if that is this process's share; else unset {THREADS_VARIABLE}")
        return
    if facts.quota is None or facts.quota >= facts.affinity:
        yield Finding("ok", f"an encoder uses {threads}, one for each CPU of this process")
        return
    found = f"the cgroup quota ({facts.quota:g} CPUs) is below affinity ({facts.affinity} CPUs): encoders use {threads}"
    todo = "nothing if the limit is meant; else raise the container's CPU limit, to a whole number"
    if facts.quota < 1:
        todo = "raise the container's CPU limit to 1 at least: with less, every run is stopped for a part of the time"
    yield Finding("advice", found, todo)


def _unknown(facts: Facts) -> Iterator[Finding]:
    for question in facts.unknown:
        yield Finding("advice", f"could not be found out: {question}", "report this: doctor should know")


def _major(version: str) -> int:
    return int(version.partition(".")[0])
