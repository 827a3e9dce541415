"""What this process may use of the machine: CPUs by affinity, cgroup quota and environment, and the CPU's features."""

import math
import os
import platform
import re
from pathlib import Path

from .cgroups import ROOT, group_folders

# How frameworks give a process its share of a machine: Ray sets it to an actor's num_cpus, torchrun to 1.
THREADS_VARIABLE = "OMP_NUM_THREADS"

# Instructions that decide speed here: int8 dot products, wide vectors, bf16 matrix products.
_FEATURES = {
    "avx2": "avx2",
    "avx512f": "avx512",
    "avx512_vnni": "avx512_vnni",
    "avx_vnni": "avx_vnni",
    "avx512_bf16": "avx512_bf16",
    "amx_int8": "amx_int8",
    "amx_bf16": "amx_bf16",
    # Arm
    "asimd": "neon",
    "asimddp": "dotprod",
    "i8mm": "i8mm",
    "bf16": "bf16",
    "sve": "sve",
}


def usable_cpus() -> int:
    """How many threads this process may keep busy: the least of affinity, cgroup quota and `omp_threads`; at least 1.

    A quota of 1.5 CPUs counts as 1: a second thread would be stopped for half of each period, and a run waits for
    its slowest thread.
    """
    quota, threads = cgroup_quota(), omp_threads()
    limits = [affinity(), *([] if quota is None else [math.floor(quota)]), *([] if threads is None else [threads])]
    return max(1, min(limits))


def affinity() -> int:
    """How many CPUs the scheduler lets this process run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def omp_threads() -> int | None:
    """The threads that OMP_NUM_THREADS asks for, the first of a list such as "4,2"; None where it states no number.

    One of more than nine digits is none either: no machine has so many CPUs.
    """
    first = os.environ.get(THREADS_VARIABLE, "").split(",")[0].strip()
    number = re.fullmatch("0*([1-9][0-9]{0,8})", first)
    return None if number is None else int(number[1])


def cgroup_quota(root: Path = ROOT) -> float | None:
    """CPUs that the process's cgroups (v2 or v1) allow, the smallest over all levels; None where unlimited."""
    quotas = [
        _quota_v2(folder) if version == 2 else _quota_v1(folder) for folder, version in group_folders("cpu", root)
    ]
    return min((q for q in quotas if q is not None), default=None)


def _quota_v2(level: Path) -> float | None:
    try:
        quota, period = (level / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return None


def _quota_v1(level: Path) -> float | None:
    try:
        quota = int((level / "cpu.cfs_quota_us").read_text())
        return None if quota <= 0 else quota / int((level / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None


def model_name() -> str:
    """The CPU's name as the system gives it."""
    for line in _cpuinfo():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return _sysctl("machdep.cpu.brand_string") or platform.processor() or platform.machine()


def features() -> list[str]:
    """The instruction sets of the CPU that matter here, in a fixed order and under fixed names."""
    for line in _cpuinfo():
        if line.lower().startswith(("flags", "features")):
            present = set(line.split(":", 1)[1].split())
            return [name for flag, name in _FEATURES.items() if flag in present]
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        known = {"FEAT_DotProd": "dotprod", "FEAT_I8MM": "i8mm", "FEAT_BF16": "bf16"}
        return ["neon"] + [name for key, name in known.items() if _sysctl(f"hw.optional.arm.{key}") == "1"]
    return []


def _cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []


def _sysctl(key: str) -> str:
    if platform.system() != "Darwin":
        return ""
    import subprocess  # lazily: the import takes 3 ms that other systems need not pay

    result = subprocess.run(["sysctl", "-n", key], capture_output=True, text=True, check=False)
    return result.stdout.strip()
