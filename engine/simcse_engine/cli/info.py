"""The command `info`: an artifact's manifest for people, and which kernels run it here."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import Commands, add_artifact, add_command
from .output import one_line, print_result

if TYPE_CHECKING:
    from ..artifact.manifest import Manifest
    from ..session.kernels import Kernels


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    add_artifact(add_command(commands, "info", "say what an artifact is, and which kernels run it here", run))


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    from ..artifact.hub import locate
    from ..artifact.manifest import GRAPH, Manifest
    from ..artifact.written import MANIFEST
    from ..session.kernels import kernels_for

    folder = locate(args.artifact, files=[MANIFEST, GRAPH])
    manifest = Manifest.read(folder)
    kernels = kernels_for(folder, "cpu") if manifest.target == "cpu" else None
    here = None if kernels is None else {"variant": kernels.variant, "reason": kernels.reason}
    print_result(args, {**manifest.to_json(), "kernels": here}, lambda: manifest_lines(folder, manifest, kernels))


def manifest_lines(folder: Path, manifest: "Manifest", kernels: "Kernels | None" = None) -> str:
    """All that matters of a manifest and, if told, which kernels run its graph here, one fact per line."""
    facts = manifest_facts(manifest, kernels)
    lines = (f"  {one_line(name):<18} {one_line(value)}" for name, value in facts.items())
    sizes = (f"    {one_line(name):<16} {_size(entry.size_bytes)}" for name, entry in manifest.files.items())
    return "\n".join([str(folder), *lines, *sizes])


def manifest_facts(manifest: "Manifest", kernels: "Kernels | None" = None) -> dict[str, str]:
    """The same facts, by what people call them."""
    m = manifest
    total = sum(entry.size_bytes for entry in m.files.values())
    return {
        "checkpoint": m.source.id + (f" at {m.source.revision}" if m.source.revision else ""),
        "architecture": _listed(m.architecture),
        "pooler": m.pooler,
        "vectors": f"{m.dimension} floats, {'unit length' if m.normalized else 'not normalized'}",
        "max tokens": f"{m.max_tokens} ({m.max_tokens_source})" if m.max_tokens_source else str(m.max_tokens),
        **({"prompts": _prompts(m)} if any(m.prompts.values()) else {}),
        "precision": f"{m.precision} for {m.target}",
        **({"kernels": f"{kernels.variant or 'none'} here{_because(kernels)}"} if kernels else {}),
        **({"engines": _plans(m)} if m.max_batch else {}),
        "parity": _parity(m),
        **({"quality": quality_line(m.quality)} if m.quality else {}),
        "identity": m.identity,
        "model": m.model,
        "made with": _listed(m.versions),
        "size": _size(total),
    }


def quality_line(quality: Mapping[str, Any]) -> str:
    """A manifest's ``quality``: cosines to float32 where there are any, and the averages over STS tasks."""
    parts = []
    if "mean_cosine" in quality:
        parts.append(f"cosine to fp32 {quality['mean_cosine']:.4f} on average, {quality['min_cosine']:.4f} at least")
    if "sts" in quality:
        before = f", fp32 {quality['sts_fp32']['average']:.2f}" if "sts_fp32" in quality else ""
        if "sts_unwhitened" in quality:
            before += f", unwhitened {quality['sts_unwhitened']['average']:.2f}"
        tasks = len(quality["sts"]["tasks"])
        parts.append(f"STS Spearman {quality['sts']['average']:.2f}{before} (average of {tasks} tasks)")
    return "; ".join(parts)


def _prompts(manifest: "Manifest") -> str:
    prompts = ", ".join(f"{name} {json.dumps(prompt, ensure_ascii=False)}" for name, prompt in manifest.prompts.items())
    return prompts if manifest.default_prompt_name is None else f"{prompts}; default {manifest.default_prompt_name}"


def _because(kernels: "Kernels") -> str:
    return f": {kernels.reason}" if kernels.reason else ""


def _plans(manifest: "Manifest") -> str:
    plans = [
        f"compute capability {name} by {plan.builder}" + (f" on {plan.gpu}" if plan.gpu else "")
        for name, plan in manifest.engines.items()
    ]
    return f"{', '.join(plans) or 'none yet: simcse-engine compile'}; at most {manifest.max_batch} sentences a run"


def _parity(manifest: "Manifest") -> str:
    state = "verified" if manifest.verified else "not verified on its target"
    return f"{state}; {_listed(manifest.parity)}" if manifest.parity else state


def _listed(facts: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {_value(value)}" for name, value in facts.items())


def _value(value: Any) -> str:
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def _size(size_bytes: int) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes} bytes"
