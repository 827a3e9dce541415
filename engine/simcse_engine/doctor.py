"""What is installed, what of it really works on this machine, and what to do about the rest.

`examine` collects `Facts` and lets `judge` derive findings from them. Whatever can crash a process (the runtime, a
provider's libraries) is tried in a child process, so that the doctor survives the illness.
"""

import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeVar

from . import cpu, session
from ._version import __version__

Level = Literal["problem", "advice", "ok"]
_T = TypeVar("_T")

_REQUIRED = ("numpy", "tokenizers", "huggingface-hub", "tqdm")
_OPTIONAL = ("usearch", "pyarrow")

# The providers that the engine runs on, and what to do when one is compiled in and does not load. Others, such as
# the wheels' Azure provider, are named and not tried: whether they load changes nothing here.
_REMEDIES = {
    "CPUExecutionProvider": "pip install --force-reinstall --no-deps {build}",
    "CUDAExecutionProvider": (
        "see that nvidia-smi answers (driver and GPU), then pip install 'simcse-engine[gpu]', which brings the CUDA "
        "and cuDNN libraries; to stay on the CPU: pip uninstall -y {build}, then pip install 'simcse-engine[cpu]'"
    ),
}
_CHILD_TIMEOUT_S = 120


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One judgement.

    Attributes:
        level: "problem" (something asked for cannot work), "advice" (it works, and could be better) or "ok".
        found: what is the case.
        todo: what to do about it; empty where it is fine.
    """

    level: Level
    found: str
    todo: str = ""


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
    cpu: str = ""
    architecture: str = ""
    features: Sequence[str] = ()
    affinity: int = 1
    quota: float | None = None
    threads: int = 1
    unknown: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Report:
    """Facts and what follows from them."""

    facts: Facts
    findings: Sequence[Finding]

    @property
    def healthy(self) -> bool:
        """Whether there is no problem; advice is none."""
        return all(finding.level != "problem" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """The report for machines."""
        return {
            "healthy": self.healthy,
            "version": __version__,
            **asdict(self.facts),
            "findings": [asdict(finding) for finding in self.findings],
        }

    def render(self) -> str:
        """The report for people, without a newline at the end."""
        facts = self.facts
        quota = "no cgroup quota" if facts.quota is None else f"a cgroup quota of {facts.quota:g} CPUs"
        rows = [
            ("simcse-engine", f"{__version__} in {facts.prefix}"),
            ("Python", f"{facts.python} on {facts.platform}"),
            ("packages", _listed(facts.packages)),
            ("onnxruntime", f"{facts.runtime or 'none that can be imported'}; installed: {_listed(facts.builds)}"),
            *(("provider", f"{name}: {error or 'loads'}") for name, error in facts.providers.items()),
            ("not used", ", ".join(facts.other_providers)),
            ("CPU", f"{facts.cpu} ({facts.architecture}): {', '.join(facts.features) or 'features unknown'}"),
            ("threads", f"{facts.threads}, from {facts.affinity} CPUs by affinity and {quota}"),
        ]
        lines = [f"{name:<14}{text}" for name, text in rows if text]
        lines.append("")
        for finding in self.findings:
            lines.append(f"{finding.level:<9}{finding.found}")
            if finding.todo:
                lines.append(f"{'':<9}→ {finding.todo}")
        return "\n".join(lines)


def examine() -> Report:
    """Look at this machine and environment. Never raises: what fails becomes a finding."""
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
        if name in _REMEDIES
    }
    facts = Facts(
        platform=platform.platform(),
        python=platform.python_version(),
        prefix=sys.prefix,
        packages={name: ask(None, _version, name) for name in (*_REQUIRED, *_OPTIONAL)},
        builds={name: ask(None, _version, name) for name in builds},
        runtime=runtime.get("version"),
        runtime_error=runtime.get("error", ""),
        providers=providers,
        other_providers=tuple(name for name in compiled_in if name not in _REMEDIES),
        cpu=ask("unknown", cpu.model_name),
        architecture=platform.machine(),
        features=tuple(ask([], cpu.features)),
        affinity=ask(1, cpu.affinity),
        quota=ask(None, cpu.cgroup_quota),
        threads=ask(1, cpu.usable_cpus),
        unknown=tuple(unknown),
    )
    return Report(facts=facts, findings=judge(facts))


def judge(facts: Facts) -> tuple[Finding, ...]:
    """Derive the findings from the facts alone, the worst first."""
    findings = [*_judge_packages(facts), *_judge_runtime(facts), *_judge_cpu(facts), _judge_threads(facts)]
    findings += [
        Finding(level="advice", found=f"could not be found out: {what}", todo="report this: doctor should know")
        for what in facts.unknown
    ]
    order: list[Level] = ["problem", "advice", "ok"]
    return tuple(sorted(findings, key=lambda finding: order.index(finding.level)))


def _judge_packages(facts: Facts) -> list[Finding]:
    missing = [name for name, version in facts.packages.items() if version is None and name in _REQUIRED]
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
            level="problem",
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


def _in_child(*question: str) -> dict[str, Any]:
    """Let a child process answer; its death, or its silence, is an ``error`` too."""
    # The child finds what this process finds, however its path came about. -P: and nothing in the current folder.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-P", "-c", "from simcse_engine import doctor; doctor.answer()", *question]
    try:
        done = subprocess.run(
            command,
            env=environment,
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
            reply = {"version": session.import_runtime().__version__, "providers": session.available_providers()}
        elif error := session.probe_provider(sys.argv[2]):
            reply = {"error": error}
    except Exception as error:
        # The system's own words, without the engine's advice: the doctor gives that.
        reply = {"error": _last_line(str(error.__cause__ or error)) or type(error).__name__}
    print(json.dumps(reply))


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        # Frozen applications carry packages without their metadata.
        return "unknown version" if importlib.util.find_spec(name.replace("-", "_")) else None


def _listed(versions: Mapping[str, str | None]) -> str:
    return ", ".join(f"{name} {version or 'not installed'}" for name, version in versions.items()) or "none"


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""
