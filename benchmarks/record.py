"""Where results go: JSON files with the machine and the day that their figures hold for.

They go to `.bench/results`, which git ignores; `make publish-bench` copies them to `benchmarks/results`.
"""

import datetime
import json
import math
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any

from simcse_engine.machine import cpu
from simcse_engine.machine.kernels import chosen_variant, load_library

ROOT = Path(__file__).resolve().parents[1]
BENCH = ROOT / ".bench"
RESULTS = BENCH / "results"
# Of a trial, whose figures must not take the place of measured ones.
TRIAL = BENCH / "trial"
# Names another folder than `RESULTS`.
RESULTS_VARIABLE = "BENCH_RESULTS"

_PACKAGES = (
    *("simcse-engine", "onnxruntime", "numpy", "tokenizers", "usearch"),
    *("torch", "transformers", "optimum-onnx", "onnx", "onnxruntime-gpu"),
)
_DIGITS = 4

# Every run imports this file before it works, so this load is other processes'. The load at the end has the run's own
# threads too: beyond their number, other processes worked at the same time.
_LOAD_AT_START = os.getloadavg()


def write_result(
    name: str,
    about: Mapping[str, Any],
    figures: Mapping[str, Any],
    *,
    shown: Mapping[str, Any] | None = None,
    folder: Path | None = None,
) -> dict[str, Any]:
    """Write a result to ``NAME.json`` with the machine and the day, and print its figures, or what is to be ``shown``.

    The file appears whole, also where the process is killed; in ``folder``, or where all results go.

    Returns:
        The file's content.
    """
    folder = folder or Path(os.environ.get(RESULTS_VARIABLE, RESULTS))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    content: dict[str, Any] = plain({"measured": day, "machine": _machine(), **about, **figures})
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    part.replace(path)
    print("\n".join(lines({name: plain(figures if shown is None else shown)})))
    print(f"→ {path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}", flush=True)
    return content


def plain(content: Any) -> Any:
    """The content in JSON's own types, with as many digits as a measurement has."""
    if is_dataclass(content) and not isinstance(content, type):
        return plain(asdict(content))
    if isinstance(content, Mapping):
        return {str(key): plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [plain(value) for value in content]
    if isinstance(content, float) and content and math.isfinite(content):
        return round(content, _DIGITS - 1 - math.floor(math.log10(abs(content))))
    return content


def lines(figures: Mapping[str, Any], indent: str = "") -> list[str]:
    """Plain figures as people read them: one line per contestant."""
    printed = []
    for name, value in figures.items():
        if isinstance(value, Mapping) and any(isinstance(each, Mapping) for each in value.values()):
            printed += [f"{indent}{name}", *lines(value, f"{indent}  ")]
        else:
            printed.append(f"{indent}{name:32} {_figure(value)}")
    return printed


def _figure(value: Any) -> str:
    if isinstance(value, Mapping):
        if value.keys() == {"median", "low", "high"}:
            return f"{value['median']:.2f} [{value['low']:.2f}, {value['high']:.2f}]"
        if value.keys() == {"median", "min", "max"}:
            return f"{value['median']:,g} ({value['min']:,g} to {value['max']:,g})"
        return ", ".join(f"{name} {_figure(each)}" for name, each in value.items())
    return f"{value:,g}" if isinstance(value, float) else str(value)


def _machine() -> dict[str, Any]:
    """What a figure depends on besides the code, and nothing that identifies the machine's owner."""
    governor = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": cpu.model_name(),
        "features": cpu.features(),
        "cores": os.cpu_count(),
        "affinity": cpu.affinity(),
        "cgroup_quota": cpu.cgroup_quota(),
        "usable_cpus": cpu.usable_cpus(),
        "kernels": chosen_variant(load_library()),
        "governor": governor.read_text().strip() if governor.is_file() else None,
        "memory_gb": memory / 1e9,
        "load_average_at_start": list(_LOAD_AT_START),
        "load_average_at_end": list(os.getloadavg()),
        # What follows the version names a builder.
        "os": f"{platform.system()} {platform.release().partition('-')[0]} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": {name: version(name) for name in _PACKAGES if any(distributions(name=name))},
    }
