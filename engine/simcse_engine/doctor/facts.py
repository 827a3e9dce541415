"""What is installed, and what of it works on this machine: the facts that the rules judge."""

import importlib.metadata
import importlib.util
import platform
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ..machine import cpu
from ..machine.nvidia import Gpu
from ..session import library
from ..session.tensorrt.libraries import TENSORRT, WHEELS_MAJOR
from .child import ask_child

_T = TypeVar("_T")

# Packages of extras that are worth a line; all others that are named are required.
OPTIONAL = ("pyarrow",)
_RTX = "onnxruntime-ep-nv-tensorrt-rtx-cu13"
_NVIDIA = (
    *("nvidia-cuda-runtime", "nvidia-cuda-runtime-cu12", "nvidia-cudnn-cu12", "nvidia-cudnn-cu13", "tensorrt-cu12"),
    *("tensorrt-cu13", _RTX, "tensorrt-rtx-cu13-bindings"),
)

# The providers that the engine runs on. Others, such as the wheels' Azure provider, are named and not tried: whether
# they load makes no difference here.
RUNS_ON = ("CPUExecutionProvider", "CUDAExecutionProvider", TENSORRT)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A machine and an installation; the rules need nothing else."""

    platform: str = ""  # the operating system
    python: str = ""  # its version
    prefix: str = ""  # the environment's folder
    # Versions of the packages that the engine requires, and of `OPTIONAL`; None where not installed.
    packages: Mapping[str, str | None] = field(default_factory=dict)
    # The onnxruntime builds that are installed, with their versions.
    builds: Mapping[str, str | None] = field(default_factory=dict)
    # The version of the onnxruntime that can be imported, or why none can.
    runtime: str | None = None
    runtime_error: str = ""
    # Those that the engine runs on and that are compiled in; None for one that loads, else its error.
    providers: Mapping[str, str | None] = field(default_factory=dict)
    other_providers: Sequence[str] = ()  # compiled in as well, of no use to the engine
    runtime_cuda: str | None = None  # the version of CUDA that the onnxruntime is linked to; None without CUDA
    tensorrt_major: int = WHEELS_MAJOR  # the version of TensorRT that its provider is linked to
    # The newest version of CUDA that NVIDIA's driver runs, or why there is no driver.
    cuda: str | None = None
    driver_error: str = ""
    gpus: Sequence[Gpu] = ()  # those that the driver sees
    nvidia: Mapping[str, str] = field(default_factory=dict)  # versions of NVIDIA's packages that are installed
    # The version of "tensorrt", where the onnxruntime has its provider, and of "tensorrt-rtx", where its package is
    # installed; None for what does not load.
    compilers: Mapping[str, str | None] = field(default_factory=dict)
    rtx_error: str = ""  # why TensorRT for RTX does not load or finds no GPU
    cpu: str = ""  # its name
    architecture: str = ""  # such as "x86_64" or "arm64"
    features: Sequence[str] = ()  # the CPU's instruction sets that matter here
    # The variants of our kernels that this CPU has, best first, and the one that runs; or why there are none.
    kernels: Sequence[str] = ()
    kernels_run: str | None = None
    kernels_error: str = ""
    affinity: int = 1  # number of CPUs that the scheduler lets this process run on
    quota: float | None = None  # number of CPUs that its cgroups allow; None where unlimited
    omp_threads: int | None = None  # those that OMP_NUM_THREADS asks for; None where it states no number
    threads: int = 1  # those of an encoder by default
    unknown: Sequence[str] = ()  # questions that failed, and why


def collect_facts() -> Facts:
    """Look at this machine and installation. Never raises: what fails is among the facts."""
    unknown: list[str] = []

    def ask(default: _T, function: Callable[..., _T], *arguments: str) -> _T:
        try:
            return function(*arguments)
        except Exception as error:  # of any kind: the other facts still count
            question = " ".join([function.__name__.strip("_"), *arguments])
            unknown.append(f"{question}: {type(error).__name__}: {error}")
            return default

    required: list[str] = ask([], _required)
    builds: list[str] = ask([], library.installed_builds)
    runtime: dict[str, Any] = ask({"error": "could not be tried"}, ask_child, "runtime")
    compiled_in: list[str] = runtime.get("providers", [])
    providers = {
        name: ask({"error": "could not be tried"}, ask_child, "provider", name).get("error")
        for name in compiled_in
        if name in RUNS_ON
    }
    our_kernels: dict[str, Any] = ask({"error": "could not be tried"}, ask_child, "kernels")
    driver: dict[str, Any] = ask({"error": "could not be asked"}, ask_child, "driver")
    installed = {name: ask(None, _version, name) for name in _NVIDIA}
    compilers: dict[str, dict[str, Any]] = {
        name: ask({"error": "could not be tried"}, ask_child, "compiler", name)
        for name, expected in (("tensorrt", TENSORRT in compiled_in), ("tensorrt-rtx", installed[_RTX]))
        if expected
    }
    return Facts(
        platform=platform.platform(),
        python=platform.python_version(),
        prefix=sys.prefix,
        packages={name: ask(None, _version, name) for name in (*required, *OPTIONAL)},
        builds={name: ask(None, _version, name) for name in builds},
        runtime=runtime.get("version"),
        runtime_error=runtime.get("error", ""),
        providers=providers,
        other_providers=tuple(name for name in compiled_in if name not in RUNS_ON),
        runtime_cuda=runtime.get("cuda"),
        tensorrt_major=runtime.get("tensorrt_major", WHEELS_MAJOR),
        cuda=driver.get("cuda"),
        driver_error=driver.get("error", ""),
        gpus=tuple(Gpu(**each) for each in driver.get("gpus", ())),
        nvidia={name: version for name, version in installed.items() if version},
        compilers={name: reply.get("version") for name, reply in compilers.items()},
        rtx_error=compilers.get("tensorrt-rtx", {}).get("error", ""),
        cpu=ask("unknown", cpu.model_name),
        architecture=platform.machine(),
        features=tuple(ask([], cpu.features)),
        kernels=tuple(our_kernels.get("variants", ())),
        kernels_run=our_kernels.get("runs"),
        kernels_error=our_kernels.get("error", ""),
        affinity=ask(1, cpu.affinity),
        quota=ask(None, cpu.cgroup_quota),
        omp_threads=ask(None, cpu.omp_threads),
        threads=ask(1, cpu.usable_cpus),
        unknown=tuple(unknown),
    )


def _required() -> list[str]:
    """The distributions that the engine requires, without extras. Raises where its own metadata is not there."""
    requirements = importlib.metadata.requires("simcse-engine") or []
    names = [re.match(r"[\w.-]+", requirement) for requirement in requirements if "extra ==" not in requirement]
    return [name[0] for name in names if name]


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        # Frozen applications hold packages without their metadata.
        return "unknown version" if importlib.util.find_spec(name.replace("-", "_")) else None
