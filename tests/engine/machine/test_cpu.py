import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from simcse_engine.machine import cpu

QUOTA, PERIOD = "cpu.cfs_quota_us", "cpu.cfs_period_us"


def machine(root: Path, cgroup: str, files: Mapping[str, str]) -> Path:
    """A root folder with ``/proc/self/cgroup`` and files below ``/sys/fs/cgroup``."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(cgroup)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("cgroup", "files", "quota"),
    [
        pytest.param("0::/a\n", {"a/cpu.max": "150000 100000\n"}, 1.5, id="v2"),
        pytest.param("0::/a\n", {"a/cpu.max": "max 100000\n"}, None, id="v2 max"),
        pytest.param("0::/\n", {"cpu.max": "400000 100000\n"}, 4.0, id="v2 container root"),
        pytest.param(
            "0::/a/b/c\n",
            {"a/cpu.max": "100000 50000\n", "a/b/cpu.max": "300000 100000\n", "a/b/c/cpu.max": "max 100000\n"},
            2.0,
            id="v2 the smallest of all levels",
        ),
        pytest.param("0::/a/b\n", {"a/b/cpu.max": "50000 100000\n", "cpu.max": "max 100000\n"}, 0.5, id="v2 below 1"),
        pytest.param(
            "0::/docker/0123abcd\n", {"cpu.max": "300000 100000\n"}, 3.0, id="v2 the host's path, not visible inside"
        ),
        pytest.param("0::/../../host\n", {"cpu.max": "200000 100000\n"}, 2.0, id="v2 outside the namespace's root"),
        pytest.param(
            "0::/a\n", {"b/cpu.max": "100000 100000\n", "a/cpu.max": "max 100000"}, None, id="v2 another's quota"
        ),
        pytest.param("0::/a\n", {"a/cpu.max": "\n"}, None, id="v2 empty"),
        pytest.param("0::/a\n", {"a/cpu.max": "some words here\n"}, None, id="v2 nonsense"),
        pytest.param("0::/a\n", {}, None, id="v2 without files"),
        pytest.param("", {"cpu.max": "100000 100000\n"}, None, id="in no group"),
        pytest.param(
            "4:memory:/x\n3:cpu,cpuacct:/docker/x\n0::/system\n",
            {f"cpu/docker/x/{QUOTA}": "250000\n", f"cpu/docker/x/{PERIOD}": "100000\n"},
            2.5,
            id="v1",
        ),
        pytest.param(
            "3:cpuacct,cpu:/x\n",
            {f"cpu/x/{QUOTA}": "-1\n", f"cpu/x/{PERIOD}": "100000\n"},
            None,
            id="v1 unlimited",
        ),
        pytest.param(
            "3:cpu,cpuacct:/docker/0123abcd\n",
            {f"cpu/{QUOTA}": "100000\n", f"cpu/{PERIOD}": "100000\n"},
            1.0,
            id="v1 the host's path, not visible inside",
        ),
        pytest.param(
            "3:cpu:/a/b\n",
            {
                f"cpu/a/{QUOTA}": "200000",
                f"cpu/a/{PERIOD}": "100000",
                f"cpu/a/b/{QUOTA}": "50000",
                f"cpu/a/b/{PERIOD}": "10000",
            },
            2.0,
            id="v1 nested",
        ),
        pytest.param("3:cpu:/x\n", {f"cpu/x/{QUOTA}": "100000\n"}, None, id="v1 without a period"),
        pytest.param(
            "5:cpuset:/x\n4:cpuacct:/x\n",
            {f"cpu/x/{QUOTA}": "100000\n", f"cpu/x/{PERIOD}": "100000\n"},
            None,
            id="v1 other controllers",
        ),
    ],
)
def test_quota(tmp_path: Path, cgroup: str, files: Mapping[str, str], quota: float | None) -> None:
    assert cpu.cgroup_quota(machine(tmp_path, cgroup, files)) == quota


def test_quota_of_a_group_whose_path_holds_a_colon(tmp_path: Path) -> None:
    root = machine(tmp_path, "0::/a:b\n", {"a:b/cpu.max": "200000 100000\n"})
    assert cpu.cgroup_quota(root) == 2.0


def test_no_proc_is_no_quota(tmp_path: Path) -> None:
    assert cpu.cgroup_quota(tmp_path) is None


@pytest.mark.parametrize(
    ("quota", "threads"), [(None, 4), (8.0, 4), (4.0, 4), (3.0, 3), (2.9, 2), (1.5, 1), (1.0, 1), (0.25, 1)]
)
def test_threads_follow_the_smaller_of_affinity_and_quota(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, threads: int
) -> None:
    monkeypatch.setattr(cpu, "affinity", lambda: 4)
    monkeypatch.setattr(cpu, "cgroup_quota", lambda: quota)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert cpu.usable_cpus() == threads


@pytest.mark.parametrize(
    ("asked", "threads"),
    [("2", 2), ("1", 1), ("3", 3), ("9", 3), (" 2 ", 2), ("2,4", 2), ("9,1", 3), ("0" * 5000 + "2", 2)]
    + [(nonsense, 3) for nonsense in ("", "0", "-1", "two", "1.5", "²", ",2", "0,2", "9" * 5000)],
)
def test_threads_follow_the_environment_where_it_is_lower(
    monkeypatch: pytest.MonkeyPatch, asked: str, threads: int
) -> None:
    monkeypatch.setattr(cpu, "affinity", lambda: 4)
    monkeypatch.setattr(cpu, "cgroup_quota", lambda: 3.5)
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert cpu.usable_cpus() == threads


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_affinity_is_the_process_s_own() -> None:
    cpus = sorted(os.sched_getaffinity(0))
    # In a child, so that the other tests keep their CPUs.
    code = """if True:
        import os, sys
        sys.path[:] = eval(sys.argv[1])
        from simcse_engine.machine import cpu
        for count in range(1, int(sys.argv[2]) + 1):
            os.sched_setaffinity(0, eval(sys.argv[3])[:count])
            print(cpu.affinity(), cpu.usable_cpus() <= count)
    """
    command = [sys.executable, "-c", code, repr(sys.path), str(len(cpus)), repr(cpus)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{count} True" for count in range(1, len(cpus) + 1)]
    assert cpu.affinity() == len(cpus)


XEON = """\
processor\t: 0
model name\t: Intel(R) Xeon(R): a name
vmx flags\t: bf16
flags\t\t: fpu avx2 avx512f avx512_vnni
"""
ARM = "processor\t: 0\nFeatures\t: fp asimd asimddp i8mm bf16\nCPU part\t: 0xd40\n"


@pytest.mark.parametrize(
    ("cpuinfo", "features"),
    [
        pytest.param(XEON, ["avx2", "avx512", "avx512_vnni"], id="x86"),
        pytest.param(ARM, ["neon", "dotprod", "i8mm", "bf16"], id="Arm"),
        pytest.param(XEON.replace("avx512", "avx512x").replace("avx2", "xavx2"), [], id="whole words alone"),
    ],
)
def test_features(monkeypatch: pytest.MonkeyPatch, cpuinfo: str, features: list[str]) -> None:
    monkeypatch.setattr(cpu, "_cpuinfo", cpuinfo.splitlines)
    assert cpu.features() == features


def test_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "_cpuinfo", XEON.splitlines)
    assert cpu.model_name() == "Intel(R) Xeon(R): a name"


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="this system has no /proc/cpuinfo")
def test_this_machine_s_cpu_has_a_name_and_known_features() -> None:
    assert cpu.model_name()
    words = set(Path("/proc/cpuinfo").read_text().split())
    assert ("avx2" in cpu.features()) == ("avx2" in words)
    assert ("avx512_vnni" in cpu.features()) == ("avx512_vnni" in words)
