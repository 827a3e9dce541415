"""What is installed and what of it really works on this machine: the facts that the doctor judges.

Whatever can crash a process (the runtime, a provider's libraries) is tried in a child process.
"""

import importlib.metadata
import importlib.util
import json
import platform
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from .. import session
from ..machine import cpu, nvidia
from ..machine.nvidia import Gpu
from ..session.library import TENSORRT

_T = TypeVar("_T")

REQUIRED = ("numpy", "tokenizers", "huggingface-hub", "tqdm")
_OPTIONAL = ("pyarrow",)
_RTX = "onnxruntime-ep-nv-tensorrt-rtx-cu13"
_NVIDIA = (
    *("nvidia-cuda-runtime", "nvidia-cuda-runtime-cu12", "nvidia-cudnn-cu12", "nvidia-cudnn-cu13", "tensorrt-cu12"),
    *("tensorrt-cu13", _RTX, "tensorrt-rtx-cu13-bindings"),
)

# The providers that the engine runs on. Others, such as the wheels' Azure provider, are named and not tried: whether
# they load changes nothing here.
RUNS_ON = ("CPUExecutionProvider", "CUDAExecutionProvider", TENSORRT)
_CHILD_TIMEOUT_S = 120


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What was found out about a machine; `judge` needs nothing else.

    Attributes:
        platform: the operating system.
        python: Python's version.
        prefix: the environment's folder.
        packages: versions of the packages that matter, None where not installed.
        builds: the onnxruntime builds that are installed, with their versions.
        runtime: version of the onnxruntime that can be imported; None where none can.
        runtime_error: why none can.
        providers: those the engine runs on and that are compiled in; None for one that loads, else what it said.
        other_providers: compiled in as well, of no use to the engine.
        runtime_cuda: the version of CUDA that the onnxruntime is linked to; None for one without CUDA.
        cuda: the newest version of CUDA that NVIDIA's driver runs; None where there is no driver.
        driver_error: why there is none.
        gpus: what the driver sees.
        nvidia: versions of NVIDIA's packages, those that are installed.
        compilers: the version of "tensorrt", where the onnxruntime has its provider, and of "tensorrt-rtx", where its
            package is installed; None for what does not load.
        rtx_error: why TensorRT for RTX does not load or finds no GPU.
        cpu: the CPU's name.
        architecture: such as "x86_64" or "arm64".
        features: the CPU's instruction sets that matter here.
        affinity: CPUs that the scheduler lets this process run on.
        quota: CPUs that its cgroups allow; None where unlimited.
        threads: threads that an encoder uses unless told otherwise.
        unknown: what could not be found out, and why.
    """

    platform: str = ""
    python: str = ""
    prefix: str = ""
    packages: Mapping[str, str | None] = field(default_factory=dict)
    builds: Mapping[str, str | None] = field(default_factory=dict)
    runtime: str | None = None
    runtime_error: str = ""
    providers: Mapping[str, str | None] = field(default_factory=dict)
    other_providers: Sequence[str] = ()
    runtime_cuda: str | None = None
    cuda: str | None = None
    driver_error: str = ""
    gpus: Sequence[Gpu] = ()
    nvidia: Mapping[str, str] = field(default_factory=dict)
    compilers: Mapping[str, str | None] = field(default_factory=dict)
    rtx_error: str = ""
    cpu: str = ""
    architecture: str = ""
    features: Sequence[str] = ()
    affinity: int = 1
    quota: float | None = None
    threads: int = 1
    unknown: Sequence[str] = ()


def survey() -> Facts:
    """Look at this machine and environment. Never raises: what fails is among the facts."""
    unknown: list[str] = []

    def ask(default: _T, function: Callable[..., _T], *arguments: str) -> _T:
        try:
            return function(*arguments)
        except Exception as error:  # whatever it is, the rest of the report is still wanted
            question = " ".join([function.__name__.strip("_"), *arguments])
            unknown.append(f"{question}: {type(error).__name__}: {error}")
            return default

    builds: list[str] = ask([], session.installed_builds)
    runtime: dict[str, Any] = ask({"error": "could not be tried"}, _in_child, "runtime")
    compiled_in: list[str] = runtime.get("providers", [])
    providers = {
        name: ask({"error": "could not be tried"}, _in_child, "provider", name).get("error")
        for name in compiled_in
        if name in RUNS_ON
    }
    driver: dict[str, Any] = ask({"error": "could not be asked"}, _in_child, "driver")
    installed = {name: ask(None, _version, name) for name in _NVIDIA}
    compilers: dict[str, dict[str, Any]] = {
        name: ask({"error": "could not be tried"}, _in_child, "compiler", name)
        for name, expected in (("tensorrt", TENSORRT in compiled_in), ("tensorrt-rtx", installed[_RTX]))
        if expected
    }
    return Facts(
        platform=platform.platform(),
        python=platform.python_version(),
        prefix=sys.prefix,
        packages={name: ask(None, _version, name) for name in (*REQUIRED, *_OPTIONAL)},
        builds={name: ask(None, _version, name) for name in builds},
        runtime=runtime.get("version"),
        runtime_error=runtime.get("error", ""),
        providers=providers,
        other_providers=tuple(name for name in compiled_in if name not in RUNS_ON),
        runtime_cuda=runtime.get("cuda"),
        cuda=driver.get("cuda"),
        driver_error=driver.get("error", ""),
        gpus=tuple(Gpu(**each) for each in driver.get("gpus", ())),
        nvidia={name: version for name, version in installed.items() if version},
        compilers={name: found.get("version") for name, found in compilers.items()},
        rtx_error=compilers.get("tensorrt-rtx", {}).get("error", ""),
        cpu=ask("unknown", cpu.model_name),
        architecture=platform.machine(),
        features=tuple(ask([], cpu.features)),
        affinity=ask(1, cpu.affinity),
        quota=ask(None, cpu.cgroup_quota),
        threads=ask(1, cpu.usable_cpus),
        unknown=tuple(unknown),
    )


def _in_child(*question: str) -> dict[str, Any]:
    """Let a child process answer; its death, or its silence, is an ``error`` too."""
    # The child shall find what this process finds, however its path came about.
    code = f"import sys; sys.path[:] = {sys.path!r}; from simcse_engine.doctor import facts; facts.answer()"
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, *question],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_CHILD_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"gave no answer in {_CHILD_TIMEOUT_S} s"}
    if done.returncode < 0:
        return {"error": f"the process was killed by {signal.Signals(-done.returncode).name}"}
    try:
        # The runtime prints to stdout as well; the answer is the last line.
        reply: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        return {"error": f"the process ended with {done.returncode}: {_last_line(done.stderr)}"}
    logged = re.search(r"\[E:onnxruntime.*?\] (.*?)(\x1b|$)", done.stderr, re.MULTILINE)
    if "error" in reply and logged:
        # What made the runtime fall back stands in its log alone.
        reply["error"] += f" ({logged[1]})"
    return reply


def answer() -> None:
    """In the child process: answer the question in ``sys.argv`` with a line of JSON."""
    reply: dict[str, Any] = {}
    try:
        if sys.argv[1] == "runtime":
            ort = session.import_runtime()
            providers = session.available_providers()
            reply = {"version": ort.__version__, "providers": providers, "cuda": getattr(ort, "cuda_version", None)}
        elif sys.argv[1] == "driver":
            reply = asdict(nvidia.driver())
        elif sys.argv[1] == "compiler":
            from ..session.tensorrt.rtx import rtx_devices
            from ..session.tensorrt.session import builder

            reply["version"] = builder(sys.argv[2]).partition(" ")[2]
            if sys.argv[2] == "tensorrt-rtx" and not rtx_devices():
                reply["error"] = "it finds no GPU that it runs on"
        elif error := session.probe_provider(sys.argv[2]):
            reply = {"error": error}
    except Exception as error:
        # The system's own words, without the engine's advice: the doctor gives that.
        reply["error"] = _last_line(str(error.__cause__ or error)) or type(error).__name__
    print(json.dumps(reply))


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        # Frozen applications carry packages without their metadata.
        return "unknown version" if importlib.util.find_spec(name.replace("-", "_")) else None


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""
