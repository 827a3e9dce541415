"""What is wrong with an installation or a machine, and what to do about it: findings, drawn from `survey`'s facts."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .._version import __version__
from ..session.library import TENSORRT
from ..session.tensorrt.nvinfer import INSTALL_TENSORRT
from .facts import REQUIRED, Facts, survey
from .finding import Finding, Level
from .rules_nvidia import judge_nvidia

# What to do where a provider is compiled in and does not load.
_REMEDIES = {
    "CPUExecutionProvider": "pip install --force-reinstall --no-deps {build}",
    "CUDAExecutionProvider": (
        "see that nvidia-smi answers (driver and GPU), then pip install 'simcse-engine[gpu]', which brings the CUDA "
        "and cuDNN libraries; to stay on the CPU: pip uninstall -y {build}, then pip install 'simcse-engine[cpu]'"
    ),
    TENSORRT: f"nothing where no artifact for tensorrt shall run; else {INSTALL_TENSORRT}",
}


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
            *(("GPU", f"cuda:{i} {gpu}") for i, gpu in enumerate(facts.gpus)),
            ("driver", _driver(facts)),
            ("NVIDIA", _listed(facts.nvidia) if facts.nvidia else ""),
            *((name, version or "does not load") for name, version in facts.compilers.items()),
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
    """Look at this machine and environment, and judge. Never raises: what fails becomes a finding."""
    facts = survey()
    return Report(facts=facts, findings=judge(facts))


def judge(facts: Facts) -> tuple[Finding, ...]:
    """Derive the findings from the facts alone, the worst first."""
    findings = [*_judge_packages(facts), *_judge_runtime(facts), *judge_nvidia(facts)]
    findings += [*_judge_cpu(facts), _judge_threads(facts)]
    findings += [
        Finding(level="advice", found=f"could not be found out: {what}", todo="report this: doctor should know")
        for what in facts.unknown
    ]
    order: list[Level] = ["problem", "advice", "ok"]
    return tuple(sorted(findings, key=lambda finding: order.index(finding.level)))


def _judge_packages(facts: Facts) -> list[Finding]:
    missing = [name for name, version in facts.packages.items() if version is None and name in REQUIRED]
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
            # Whoever has a GPU has this provider, and most do without it.
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


def _driver(facts: Facts) -> str:
    if facts.cuda:
        return f"CUDA up to {facts.cuda}"
    # Who has nothing for GPUs here need not read that there is no driver for them.
    return facts.driver_error if facts.runtime_cuda or facts.compilers else ""


def _listed(versions: Mapping[str, str | None]) -> str:
    return ", ".join(f"{name} {version or 'not installed'}" for name, version in versions.items()) or "none"
