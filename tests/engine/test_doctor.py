import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simcse_engine import __version__, cpu, doctor, session, survey
from simcse_engine.doctor import Facts, Finding, Report, judge
from simcse_engine.nvidia import Gpu

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
HEALTHY = {
    "packages": {"numpy": "2.0", "tokenizers": "0.20", "huggingface-hub": "0.30", "tqdm": "4", "pyarrow": None},
    "builds": {"onnxruntime": "1.22.0"},
    "runtime": "1.22.0",
    "providers": {CPU: None},
    "other_providers": ("AzureExecutionProvider",),
    "architecture": "x86_64",
    "features": ("avx2", "avx512", "avx512_vnni"),
    "affinity": 4,
    "threads": 4,
}
GPU = {"builds": {"onnxruntime-gpu": "1.22.0"}, "other_providers": ()}
H100 = {"runtime_cuda": "13.0", "cuda": "13.0", "gpus": (Gpu(name="NVIDIA H100", compute_capability=90),)}
L4 = {**H100, "gpus": (Gpu(name="NVIDIA L4", compute_capability=89),)}
RTX_WORKS = {
    "compilers": {"tensorrt-rtx": "1.7.1.116"},
    "nvidia": {"onnxruntime-ep-nv-tensorrt-rtx-cu13": "0.5.0", "tensorrt-rtx-cu13-bindings": "1.7.1.116"},
}
NO_RUNTIME = {"runtime": None, "providers": {}, "other_providers": ()}


def facts(**differences: Any) -> Facts:
    return Facts(**{**HEALTHY, **differences})


def not_ok(**differences: Any) -> list[Finding]:
    """The findings on a healthy machine with ``differences``, those that are fine left out."""
    return [finding for finding in judge(facts(**differences)) if finding.level != "ok"]


@pytest.mark.parametrize(
    "differences",
    [
        pytest.param({}, id="CPU"),
        pytest.param({**GPU, "providers": {CUDA: None, CPU: None}}, id="GPU"),
        pytest.param(
            {**GPU, **H100, "providers": {TENSORRT: None, CUDA: None}, "compilers": {"tensorrt": "10.13.3.9"}},
            id="TensorRT",
        ),
        pytest.param({**L4, **RTX_WORKS}, id="TensorRT for RTX"),
        pytest.param({"cuda": "13.0", "gpus": H100["gpus"], "runtime_cuda": None}, id="a GPU that nobody asked for"),
        pytest.param(
            {**GPU, **H100, "nvidia": {"nvidia-cuda-runtime-cu12": "12.8.90", "nvidia-cuda-runtime": "13.0.48"}},
            id="two versions of CUDA, one of them right",
        ),
        pytest.param({"architecture": "arm64", "features": ("neon", "dotprod")}, id="Arm"),
        pytest.param({"features": ("avx2", "avx_vnni")}, id="VNNI without AVX512"),
        pytest.param({"quota": 4.0}, id="a quota that takes nothing away"),
        pytest.param({"builds": {}}, id="a runtime that no package manager knows"),
    ],
)
def test_what_is_fine_is_said_without_advice(differences: dict[str, Any]) -> None:
    findings = judge(facts(**differences))
    assert not_ok(**differences) == []
    assert [finding.todo for finding in findings] == [""] * len(findings)
    assert any("runs on" in finding.found for finding in findings)
    assert any("4 threads" in finding.found for finding in findings)


@pytest.mark.parametrize(
    ("differences", "level", "found", "todo"),
    [
        pytest.param(
            {**NO_RUNTIME, "builds": {}, "runtime_error": "No module named 'onnxruntime'"},
            "problem",
            ["onnxruntime is not installed", "No module named 'onnxruntime'"],
            ["simcse-engine[cpu]", "simcse-engine[gpu]"],
            id="no runtime",
        ),
        pytest.param(
            {**NO_RUNTIME, "builds": {"onnxruntime": "1.22.0", "onnxruntime-gpu": "1.22.0"}, "runtime_error": "two"},
            "problem",
            ["onnxruntime and onnxruntime-gpu are installed together"],
            ["pip uninstall -y onnxruntime onnxruntime-gpu", "simcse-engine[cpu]"],
            id="two runtimes",
        ),
        pytest.param(
            {**NO_RUNTIME, "builds": {"onnxruntime-gpu": "1.22.0"}, "runtime_error": "libfoo.so.1: cannot open"},
            "problem",
            ["onnxruntime-gpu is installed and cannot be loaded: libfoo.so.1: cannot open"],
            ["--force-reinstall --no-deps onnxruntime-gpu"],
            id="broken runtime",
        ),
        pytest.param(
            {**GPU, "providers": {CUDA: "libcublasLt.so.12: cannot open shared object file", CPU: None}},
            "problem",
            [CUDA, "does not load: libcublasLt.so.12: cannot open shared object file"],
            ["nvidia-smi", "simcse-engine[gpu]", "pip uninstall -y onnxruntime-gpu"],
            id="CUDA does not load",
        ),
        pytest.param(
            {**GPU, "providers": {TENSORRT: "libnvinfer.so.10: cannot open", CUDA: None, CPU: None}},
            "advice",
            [TENSORRT, "does not load: libnvinfer.so.10: cannot open"],
            ["pip install", "'tensorrt-cu13>=10.13,<11'"],
            id="TensorRT does not load",
        ),
        pytest.param(
            {**GPU, **H100, "cuda": "12.4"},
            "problem",
            ["the driver runs CUDA up to 12.4, and onnxruntime 1.22.0 is for 13.0"],
            ["update the driver"],
            id="old driver",
        ),
        pytest.param({**H100, "gpus": ()}, "advice", ["sees no GPU"], ["CUDA_VISIBLE_DEVICES"], id="no GPU"),
        pytest.param(
            {**GPU, **H100, "nvidia": {"nvidia-cuda-runtime-cu12": "12.8.90"}},
            "problem",
            ["nvidia-cuda-runtime-cu12 12.8.90 is installed, and onnxruntime 1.22.0 is for CUDA 13.0"],
            ["simcse-engine[gpu]"],
            id="the wrong CUDA",
        ),
        pytest.param(
            {**GPU, **H100, "nvidia": {"tensorrt-cu13": "11.0.0.50"}},
            "problem",
            ["tensorrt-cu13 11.0.0.50 is installed, and onnxruntime's provider loads TensorRT 10 alone"],
            ["pip uninstall -y tensorrt-cu13", "'tensorrt-cu13>=10.13,<11'"],
            id="TensorRT 11",
        ),
        pytest.param(
            {**GPU, **H100, "nvidia": {"tensorrt-cu12": "10.13.3.9"}},
            "problem",
            ["tensorrt-cu12 10.13.3.9 is for CUDA 12, and onnxruntime 1.22.0 for 13.0"],
            ["pip uninstall -y tensorrt-cu12"],
            id="TensorRT for another CUDA",
        ),
        pytest.param(
            {"compilers": {"tensorrt-rtx": None}, "rtx_error": "libtensorrt_rtx.so.1: too short"},
            "problem",
            ["TensorRT for RTX is installed and does not load: libtensorrt_rtx.so.1: too short"],
            ["simcse-engine[tensorrt-rtx]"],
            id="TensorRT for RTX does not load",
        ),
        pytest.param(
            {**L4, **RTX_WORKS, "nvidia": {"tensorrt-rtx-cu13-bindings": "1.6.1.120"}},
            "problem",
            ["tensorrt-rtx-cu13-bindings 1.6.1.120 is installed beside TensorRT for RTX 1.7.1.116"],
            ["simcse-engine[tensorrt-rtx]"],
            id="bindings of another version",
        ),
        pytest.param(
            {**RTX_WORKS, "rtx_error": "libcuda.so.1: cannot open"},
            "advice",
            ["TensorRT for RTX 1.7.1.116 cannot run here: libcuda.so.1: cannot open"],
            ["only compile", "nvidia-smi"],
            id="TensorRT for RTX without a driver",
        ),
        pytest.param(
            {**H100, **RTX_WORKS},
            "advice",
            ["does not run on NVIDIA H100 (compute capability 90)"],
            ["--target cuda or tensorrt"],
            id="Hopper",
        ),
        pytest.param(
            {"providers": {CPU: "killed by SIGILL"}},
            "problem",
            [CPU, "killed by SIGILL"],
            ["--force-reinstall --no-deps onnxruntime"],
            id="CPU does not load",
        ),
        pytest.param({"providers": {}}, "problem", ["no provider"], ["simcse-engine[cpu]"], id="no usable provider"),
        pytest.param(
            {"packages": {"numpy": "2.0", "tokenizers": None, "pyarrow": None}},
            "problem",
            ["not installed: tokenizers"],
            ["pip install tokenizers"],
            id="a dependency is missing",
        ),
        pytest.param({"features": ("avx2",)}, "advice", ["no VNNI and AVX512", "int8"], ["fp32"], id="old x86"),
        pytest.param({"features": ("avx2", "avx512")}, "advice", ["no VNNI:", "int8"], ["fp32"], id="AVX512 alone"),
        pytest.param({"features": ("neon",)}, "advice", ["no dotprod", "int8"], ["fp32"], id="old Arm"),
        pytest.param({"features": ()}, "advice", ["does not tell"], ["measure"], id="features unknown"),
        pytest.param(
            {"quota": 2.5, "threads": 2},
            "advice",
            ["quota (2.5 CPUs) is below affinity (4 CPUs)", "2 threads"],
            ["whole number"],
            id="quota",
        ),
        pytest.param(
            {"quota": 0.5, "threads": 1},
            "advice",
            ["quota (0.5 CPUs)", "1 thread"],
            ["to 1 at least"],
            id="quota below one CPU",
        ),
        pytest.param(
            {"quota": 0.5, "threads": 1, "affinity": 1},
            "advice",
            ["quota (0.5 CPUs)"],
            ["to 1 at least"],
            id="quota below the only CPU",
        ),
        pytest.param({"unknown": ("CPU: OSError: x",)}, "advice", ["CPU: OSError: x"], ["report"], id="unknown"),
    ],
)
def test_each_fault_is_one_finding_that_says_what_to_do(
    differences: dict[str, Any], level: str, found: list[str], todo: list[str]
) -> None:
    (finding,) = not_ok(**differences)
    assert finding.level == level
    for words in found:
        assert words in finding.found
    for words in todo:
        assert words in finding.todo
    # The worst comes first, and only a problem makes the machine unhealthy.
    assert judge(facts(**differences))[0] == finding
    report = Report(facts=facts(**differences), findings=judge(facts(**differences)))
    assert report.healthy == (level != "problem")
    assert report.to_json()["healthy"] == report.healthy
    assert finding.found in report.render()
    assert finding.todo in report.render()


def test_a_provider_that_loads_is_said_beside_one_that_does_not() -> None:
    findings = judge(facts(**GPU, providers={CUDA: "no driver", CPU: None}))
    assert findings[0].level == "problem"
    assert any(finding.level == "ok" and f"runs on {CPU}" in finding.found for finding in findings)


def test_several_faults_are_several_findings() -> None:
    levels = [finding.level for finding in not_ok(**NO_RUNTIME, builds={}, features=(), quota=1.0, threads=1)]
    assert levels == ["problem", "advice", "advice"]


def test_the_text_shows_every_fact() -> None:
    shown = facts(
        platform="Plan 9",
        python="3.99",
        prefix="/env",
        cpu="A fine CPU",
        quota=3.5,
        threads=3,
        providers={CPU: None, CUDA: "no driver"},
        **H100,
        compilers={"tensorrt": "10.13.3.9", "tensorrt-rtx": None},
        nvidia={"tensorrt-cu13": "10.13.3"},
    )
    text = Report(facts=shown, findings=()).render()
    for words in (
        *("Plan 9", "3.99", "/env", "A fine CPU", "x86_64", "avx2, avx512, avx512_vnni", "3.5 CPUs", "4 CPUs"),
        *("numpy 2.0", "pyarrow not installed", "onnxruntime 1.22.0", f"{CPU}: loads", f"{CUDA}: no driver"),
        *("AzureExecutionProvider", __version__, "cuda:0 NVIDIA H100 (compute capability 90)", "CUDA up to 13.0"),
        *("tensorrt-cu13 10.13.3", "tensorrt      10.13.3.9", "tensorrt-rtx  does not load"),
    ):
        assert words in text


def test_this_machine() -> None:
    report = doctor.examine()
    found = report.facts
    assert found.unknown == ()
    assert found.python == platform.python_version()
    assert found.packages["numpy"] == np.__version__
    assert list(found.builds) == session.installed_builds()
    assert found.runtime == session.import_runtime().__version__
    assert found.providers[CPU] is None
    assert found.nvidia.get("tensorrt-rtx-cu13-bindings") == found.compilers.get("tensorrt-rtx")
    assert (found.cuda is None) == ("libcuda" in found.driver_error)
    assert {*found.providers, *found.other_providers} == set(session.available_providers())
    assert list(found.features) == cpu.features()
    assert found.affinity == cpu.affinity()
    assert found.quota == cpu.cgroup_quota()
    assert found.threads == cpu.usable_cpus()
    assert report.findings == judge(found)
    content = report.to_json()
    assert json.loads(json.dumps(content))["runtime"] == found.runtime
    assert [finding["level"] for finding in content["findings"]] == [finding.level for finding in report.findings]


def test_the_doctor_itself_does_not_import_the_runtime() -> None:
    code = f"""if True:
        import sys; sys.path[:] = {sys.path!r}
        from simcse_engine import doctor
        assert doctor.examine().facts.runtime
        assert "onnxruntime" not in sys.modules
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_fails_becomes_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Any:
        raise OSError("no such luck")

    monkeypatch.setattr(survey, "_in_child", lambda *_: broken())
    monkeypatch.setattr(session, "installed_builds", broken)
    for name in ("model_name", "features", "affinity", "cgroup_quota", "usable_cpus"):
        monkeypatch.setattr(cpu, name, broken)
    report = doctor.examine()
    assert len(report.facts.unknown) == 8 + ("onnxruntime-ep-nv-tensorrt-rtx-cu13" in report.facts.nvidia)
    assert not report.healthy
    assert "no such luck" in report.render()
    json.dumps(report.to_json())


@pytest.fixture
def examine(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Examine an environment with all that is installed here, by links, but an onnxruntime of one's own making."""
    for path in Path(np.__file__).parents[1].iterdir():
        if not path.name.startswith(("onnxruntime", "simcse_engine")):
            (tmp_path / path.name).symlink_to(path)
    (tmp_path / "simcse_engine").symlink_to(Path(doctor.__file__).parent)

    def examine(*builds: str, code: str | None = None) -> dict[str, Any]:
        for build in builds:
            (tmp_path / f"{build}-1.22.0.dist-info").mkdir()
            metadata = f"Metadata-Version: 2.1\nName: {build}\nVersion: 1.22.0\n"
            (tmp_path / f"{build}-1.22.0.dist-info/METADATA").write_text(metadata)
        if code is not None:
            (tmp_path / "onnxruntime").mkdir()
            (tmp_path / "onnxruntime/__init__.py").write_text(code)
        elif builds:
            (tmp_path / "onnxruntime").mkdir()
        command = [
            *(sys.executable, "-S", "-c"),
            "import json; from simcse_engine import doctor; print(json.dumps(doctor.examine().to_json()))",
        ]
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        report: dict[str, Any] = json.loads(done.stdout)
        return report

    return examine


def test_without_a_runtime(examine: Callable[..., dict[str, Any]]) -> None:
    report = examine()
    assert not report["healthy"]
    assert report["builds"] == {}
    assert report["runtime"] is None
    assert report["findings"][0]["found"] == "onnxruntime is not installed (No module named 'onnxruntime')"


def test_two_runtimes(examine: Callable[..., dict[str, Any]]) -> None:
    report = examine("onnxruntime", "onnxruntime_gpu", code="")
    assert not report["healthy"]
    assert report["builds"] == {"onnxruntime": "1.22.0", "onnxruntime-gpu": "1.22.0"}
    assert "installed together" in report["findings"][0]["found"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        pytest.param(None, "its files are missing", id="leftovers"),
        pytest.param("raise ImportError('libfoo.so.1: cannot open')", "libfoo.so.1: cannot open", id="ImportError"),
        pytest.param("raise RuntimeError('numpy is too new')", "numpy is too new", id="another error"),
        pytest.param("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "killed by SIGILL", id="crash"),
        pytest.param("import os; os.write(2, b'bye'); os._exit(3)", "ended with 3: bye", id="exit"),
        pytest.param("__version__ = '1.22.0'", "get_available_providers", id="half a runtime"),
    ],
)
def test_a_broken_runtime_is_survived(examine: Callable[..., dict[str, Any]], code: str | None, words: str) -> None:
    report = examine("onnxruntime", code=code)
    assert not report["healthy"]
    assert "onnxruntime is installed and cannot be loaded" in report["findings"][0]["found"]
    assert words in report["findings"][0]["found"]


# An onnxruntime for GPUs on a machine without their libraries: what it prints, logs and does there.
WITHOUT_CUDA = r"""
import os, signal, sys
__version__ = "1.22.0"
preload_dlls = lambda: None
get_available_providers = lambda: ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
class SessionOptions:
    pass
class InferenceSession:
    def __init__(self, graph, settings, providers, **_):
        self.get_providers = lambda: ["CPUExecutionProvider"]
        if providers == ["CUDAExecutionProvider"]:
            print("*************** EP Error ***************")
            {}
    def run(self, outputs, inputs):
        return [inputs["x"]]
"""
LOG = (
    r'sys.stderr.write("2026-01-01 [W:onnxruntime:Default, a.cc:1 A] no GPU\n\x1b[1;31m2026-01-01 00:00:00.0 '
    r'[E:onnxruntime:Default, b.cc:2 TryGet] Failed to load library libcublasLt.so.12\x1b[m\n")'
)


@pytest.mark.parametrize(
    ("way", "words"),
    [
        pytest.param(LOG, "fell back to CPUExecutionProvider (Failed to load library libcublasLt.so.12)", id="logs"),
        pytest.param("raise RuntimeError('CUDA failure 35: old driver')", "CUDA failure 35: old driver", id="raises"),
        pytest.param("os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV", id="crashes"),
    ],
)
def test_cuda_that_does_not_load(examine: Callable[..., dict[str, Any]], way: str, words: str) -> None:
    report = examine("onnxruntime_gpu", code=WITHOUT_CUDA.format(way))
    assert not report["healthy"]
    assert words in report["providers"][CUDA]
    assert report["providers"][CPU] is None
    assert report["other_providers"] == []
    assert "libnvinfer.so.10" in report["providers"][TENSORRT]
    assert words in report["findings"][0]["found"]
    assert "nvidia-smi" in report["findings"][0]["todo"]


def test_a_runtime_that_never_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    never = tmp_path / "never"
    never.write_text("#!/bin/sh\nexec sleep 600\n")
    never.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(never))
    monkeypatch.setattr(survey, "_CHILD_TIMEOUT_S", 0.1)
    report = doctor.examine()
    assert not report.healthy
    assert report.facts.runtime_error == "gave no answer in 0.1 s"
