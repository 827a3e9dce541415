"""Rules and report: each fault is one finding that says what to do."""

from typing import Any

import pytest

from simcse_engine.doctor.facts import Facts
from simcse_engine.doctor.report import Report
from simcse_engine.doctor.rules import Finding, judge
from simcse_engine.machine.nvidia import Gpu

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
HEALTHY = {
    "packages": {"numpy": "2.0", "tokenizers": "0.20", "huggingface-hub": "0.30", "tqdm": "4", "pyarrow": None},
    "builds": {"onnxruntime": "1.22.0"},
    "runtime": "1.22.0",
    "providers": {CPU: None},
    "other_providers": ("AzureExecutionProvider",),
    "architecture": "x86_64",
    "features": ("avx2", "avx512", "avx512_vnni"),
    "kernels": ("avx512vnni", "avx2"),
    "kernels_run": "avx512vnni",
    "affinity": 4,
    "threads": 4,
}
NO_KERNELS = {"kernels": (), "kernels_run": None}
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
        pytest.param(
            {
                **{**GPU, **H100, "providers": {TENSORRT: None, CUDA: None}, "compilers": {"tensorrt": "11.4.0.106"}},
                **{"tensorrt_major": 11, "nvidia": {"tensorrt-cu13": "11.4.0.106"}},
            },
            id="TensorRT 11 and a runtime for it",
        ),
        pytest.param({**L4, **RTX_WORKS}, id="TensorRT for RTX"),
        pytest.param({"cuda": "13.0", "gpus": H100["gpus"], "runtime_cuda": None}, id="a GPU that nothing uses"),
        pytest.param(
            {**GPU, **H100, "nvidia": {"nvidia-cuda-runtime-cu12": "12.8.90", "nvidia-cuda-runtime": "13.0.48"}},
            id="two versions of CUDA, one of them right",
        ),
        pytest.param({"architecture": "arm64", "features": ("neon", "dotprod")}, id="Arm"),
        pytest.param({"features": ("avx2", "avx_vnni")}, id="VNNI without AVX512"),
        pytest.param({**NO_KERNELS, "features": ("neon", "avx_vnni")}, id="a CPU that no kernels are for"),
        pytest.param({"quota": 4.0}, id="a quota that takes nothing away"),
        pytest.param({"omp_threads": 4, "quota": 4.5}, id="as many threads as the quota's whole CPUs"),
        pytest.param({"omp_threads": 4}, id="as many threads in the environment"),
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
            {**GPU, **H100, "tensorrt_major": 11, "nvidia": {"tensorrt-cu13": "10.13.3.9"}},
            "problem",
            ["tensorrt-cu13 10.13.3.9 is installed, and onnxruntime's provider loads TensorRT 11 alone"],
            ["pip uninstall -y tensorrt-cu13", "'tensorrt-cu13>=11,<12'"],
            id="TensorRT 10 beside a runtime for 11",
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
            id="a requirement is missing",
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
        pytest.param(
            {"omp_threads": 2, "threads": 2},
            "advice",
            ["OMP_NUM_THREADS is 2", "4 CPUs", "2 threads"],
            ["unset OMP_NUM_THREADS"],
            id="a lower number of threads in the environment",
        ),
        pytest.param(
            {"omp_threads": 1, "quota": 2.5, "threads": 1},
            "advice",
            ["OMP_NUM_THREADS is 1", "2 CPUs", "1 thread"],
            ["unset OMP_NUM_THREADS"],
            id="fewer threads than the quota",
        ),
        pytest.param(
            {"omp_threads": 1, "quota": 1.5, "threads": 1},
            "advice",
            ["the cgroup quota (1.5 CPUs) is below affinity", "1 thread"],
            ["to a whole number"],
            id="as many threads as the quota's whole CPUs",
        ),
        pytest.param(
            {**NO_KERNELS, "kernels_error": "they were not built"},
            "advice",
            ["our kernels do not run", "they were not built"],
            ["pip install --force-reinstall --no-deps simcse-engine"],
            id="installed without kernels",
        ),
        pytest.param(
            {"kernels_run": None},
            "advice",
            ["SIMCSE_KERNELS is none"],
            ["unset SIMCSE_KERNELS"],
            id="kernels turned off",
        ),
        pytest.param(
            {"kernels": ("i8mm", "dotprod"), "kernels_run": None, "features": ("neon", "dotprod", "i8mm")},
            "advice",
            ["i8mm or dotprod", "not tried"],
            ["SIMCSE_KERNELS=i8mm or dotprod", "simcse-engine verify"],
            id="kernels that no CPU has tried",
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


def test_several_gpus_are_said_to_be_asked_for() -> None:
    said = [each.found for each in judge(facts(**GPU, **{**H100, "gpus": H100["gpus"] * 2}))]
    assert [each for each in said if "cuda:1 NVIDIA H100" in each and "takes cuda:0 alone unless --devices" in each]
    assert not [each for each in (found.found for found in judge(facts(**GPU, **H100))) if "alone unless" in each]
