"""The report: facts and findings, for people and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .._version import __version__
from ..machine.cpu import THREADS_VARIABLE
from .facts import Facts, collect_facts
from .rules import Finding, judge


@dataclass(frozen=True, kw_only=True)
class Report:
    """Facts and what follows from them."""

    facts: Facts
    findings: Sequence[Finding]

    @property
    def healthy(self) -> bool:
        """Whether there is no problem; advice is not one."""
        return all(finding.level != "problem" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """The report as plain values."""
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
        asked = "" if facts.omp_threads is None else f", {THREADS_VARIABLE} {facts.omp_threads}"
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
            ("kernels", _kernels(facts)),
            ("threads", f"{facts.threads}, from {facts.affinity} CPUs by affinity{asked} and {quota}"),
        ]
        lines = [f"{name:<14}{text}" for name, text in rows if text]
        lines.append("")
        for finding in self.findings:
            lines.append(f"{finding.level:<9}{finding.found}")
            if finding.todo:
                lines.append(f"{'':<9}→ {finding.todo}")
        return "\n".join(lines)


def examine() -> Report:
    """Look at this machine and installation, and judge. Never raises: what fails becomes a finding."""
    facts = collect_facts()
    return Report(facts=facts, findings=judge(facts))


def _kernels(facts: Facts) -> str:
    if not facts.kernels:
        return f"none: {facts.kernels_error or 'there are none for this CPU'}"
    return f"{facts.kernels_run or 'none'} runs; this CPU can run {', '.join(facts.kernels)}"


def _driver(facts: Facts) -> str:
    if facts.cuda:
        return f"CUDA up to {facts.cuda}"
    # That there is no driver is news only where something here is for GPUs.
    return facts.driver_error if facts.runtime_cuda or facts.compilers else ""


def _listed(versions: Mapping[str, str | None]) -> str:
    return ", ".join(f"{name} {version or 'not installed'}" for name, version in versions.items()) or "none"
