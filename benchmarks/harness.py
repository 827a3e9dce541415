"""What every benchmark needs: contestants that take turns, figures with their spread, and the machine they hold for."""

import argparse
import datetime
import json
import math
import os
import platform
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np

from simcse_engine.machine import cpu

Input = TypeVar("Input")
Output = TypeVar("Output")

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks/results"
# Where results go instead, for a trial: its figures shall not take the place of measured ones.
RESULTS_VARIABLE = "BENCH_RESULTS"

_PACKAGES = (
    *("simcse-engine", "onnxruntime", "numpy", "tokenizers", "usearch"),
    *("torch", "transformers", "optimum-onnx", "onnx"),
)
_RESAMPLES = 10_000
_DIGITS = 4

# Every run imports this file before it works, so this is what others did. At the end, the run's own threads are in it
# too: beyond their number, others worked at the same time.
_LOAD_AT_START = os.getloadavg()


@dataclass(frozen=True, kw_only=True)
class Spread:
    """One contestant's figures."""

    median: float
    min: float
    max: float
    rounds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Summarize at least one figure."""
        return cls(median=float(np.median(values)), min=min(values), max=max(values), rounds=len(values))


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """How two contestants compare: the median of the rounds' ratios.

    The machine's mood moves both figures of a round alike, so a ratio holds where the figures themselves do not.

    Attributes:
        low: lower end of the median's 95 % confidence interval, by bootstrap over the rounds.
        high: its upper end.
    """

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, above: Sequence[float], below: Sequence[float]) -> Self:
        """Compare the figures of the same rounds, ``above`` / ``below``."""
        ratios = np.array(above) / np.array(below)
        # Seeded, so that the same figures always give the same interval.
        drawn = np.random.default_rng(0).choice(ratios, (_RESAMPLES, len(ratios)))
        low, high = np.percentile(np.median(drawn, axis=1), [2.5, 97.5])
        return cls(median=float(np.median(ratios)), low=float(low), high=float(high))

    def __str__(self) -> str:
        return f"{self.median:.2f} [{self.low:.2f}, {self.high:.2f}]"


def no_options(about: str | None) -> None:
    """Let ``--help`` tell what a script measures, and refuse what it would not heed."""
    argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()


def alternate(contestants: Mapping[str, Callable[[Input], Output]], rounds: Iterable[Input]) -> dict[str, list[Output]]:
    """Let contestants take turns, so that what else the machine does meets all of them alike.

    Args:
        contestants: each is called once a round, in an order that is drawn for it: who always came after the same one
            would find the caches as that one leaves them, or its threads still spinning.
        rounds: what the contestants are called with, a round an item; the first is run once more before, unrecorded,
            for caches to fill and memory to be allocated.

    Returns:
        What each contestant returned, a round an item.
    """
    inputs = list(rounds)
    for contestant in contestants.values():
        contestant(inputs[0])
    outputs: dict[str, list[Output]] = {name: [] for name in contestants}
    drawn = random.Random(0)
    for given in inputs:
        for name in drawn.sample(list(contestants), len(contestants)):
            outputs[name].append(contestants[name](given))
    return outputs


def timed(call: Callable[[Input], object]) -> Callable[[Input], float]:
    """Make of a call one that returns the seconds it took."""

    def measure(given: Input) -> float:
        start = time.perf_counter()
        call(given)
        return time.perf_counter() - start

    return measure


def machine() -> dict[str, Any]:
    """What a figure depends on besides the code, and nothing that tells whose machine it was."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": cpu.model_name(),
        "features": cpu.features(),
        "cores": os.cpu_count(),
        "affinity": cpu.affinity(),
        "cgroup_quota": cpu.cgroup_quota(),
        "usable_cpus": cpu.usable_cpus(),
        "governor": _governor(),
        "memory_gb": memory / 1e9,
        "load_average_at_start": list(_LOAD_AT_START),
        "load_average_at_end": list(os.getloadavg()),
        # What follows the version names a builder.
        "os": f"{platform.system()} {platform.release().partition('-')[0]} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": _versions(),
    }


def _governor() -> str | None:
    try:
        return Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").read_text().strip()
    except OSError:
        return None


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def write_result(name: str, data: Mapping[str, Any]) -> Path:
    """Write ``data`` with the machine and the day it was measured to ``NAME.json`` among the results."""
    folder = Path(os.environ.get(RESULTS_VARIABLE, RESULTS))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    content = plain({"measured": day, "machine": machine(), **data})
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    print(f"→ {path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}")
    return path


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
