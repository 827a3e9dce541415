"""The facts of real installations, healthy and broken ones, and of this machine."""

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

from simcse_engine.doctor import child, facts
from simcse_engine.doctor import report as doctor
from simcse_engine.doctor.rules import judge
from simcse_engine.machine import cpu
from simcse_engine.session import library

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"


def test_this_machine() -> None:
    report = doctor.examine()
    facts_here = report.facts
    assert facts_here.unknown == ()
    assert {*facts_here.packages} >= {"numpy", "tokenizers", "huggingface-hub", "tqdm", "usearch", "pyarrow"}
    assert facts_here.python == platform.python_version()
    assert facts_here.packages["numpy"] == np.__version__
    assert list(facts_here.builds) == library.installed_builds()
    runtime = library.import_runtime()
    assert facts_here.runtime == runtime.__version__
    assert facts_here.providers[CPU] is None
    assert facts_here.tensorrt_major == 10
    assert facts_here.nvidia.get("tensorrt-rtx-cu13-bindings") == facts_here.compilers.get("tensorrt-rtx")
    assert (facts_here.cuda is None) == ("libcuda" in facts_here.driver_error)
    assert {*facts_here.providers, *facts_here.other_providers} == set(runtime.get_available_providers())
    assert list(facts_here.features) == cpu.features()
    assert facts_here.affinity == cpu.affinity()
    assert facts_here.quota == cpu.cgroup_quota()
    assert facts_here.omp_threads == cpu.omp_threads()
    assert facts_here.threads == cpu.usable_cpus()
    assert report.findings == judge(facts_here)
    content = report.to_json()
    assert json.loads(json.dumps(content))["runtime"] == facts_here.runtime
    assert [finding["level"] for finding in content["findings"]] == [finding.level for finding in report.findings]


def test_the_doctor_itself_does_not_import_the_runtime() -> None:
    code = f"""if True:
        import sys; sys.path[:] = {sys.path!r}
        from simcse_engine.doctor import report as doctor
        assert doctor.examine().facts.runtime
        assert "onnxruntime" not in sys.modules
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_fails_becomes_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Any:
        raise OSError("no such luck")

    monkeypatch.setattr(facts, "ask_child", lambda *_: broken())
    monkeypatch.setattr(library, "installed_builds", broken)
    for name in ("model_name", "features", "affinity", "cgroup_quota", "usable_cpus"):
        monkeypatch.setattr(cpu, name, broken)
    report = doctor.examine()
    assert len(report.facts.unknown) == 9 + ("onnxruntime-ep-nv-tensorrt-rtx-cu13" in report.facts.nvidia)
    assert not report.healthy
    assert "no such luck" in report.render()
    json.dumps(report.to_json())


@pytest.fixture
def examine(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Examine an environment with all that is installed here, by links, but an onnxruntime of one's own making."""
    for path in Path(np.__file__).parents[1].iterdir():
        if not path.name.startswith(("onnxruntime", "simcse_engine")):
            (tmp_path / path.name).symlink_to(path)
    (tmp_path / "simcse_engine").symlink_to(Path(doctor.__file__).parents[1])

    def examine(*builds: str, code: str | None = None, without: str | None = None) -> dict[str, Any]:
        if without is not None:
            for path in tmp_path.glob(f"{without}*"):
                path.unlink()
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
            "import json; from simcse_engine.doctor import report; print(json.dumps(report.examine().to_json()))",
        ]
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        report: dict[str, Any] = json.loads(done.stdout)
        return report

    return examine


def test_a_missing_requirement_is_named(examine: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    record = tmp_path / "simcse_engine-1.0.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: simcse-engine\nVersion: 1.0.0\nRequires-Dist: numpy>=1.26\n"
        "Requires-Dist: usearch>=2.20\nRequires-Dist: torch>=2.6; extra == 'export'\n"
    )
    report = examine(without="usearch")
    assert list(report["packages"]) == ["numpy", "usearch", "pyarrow"]
    assert report["packages"]["usearch"] is None
    assert {"level": "problem", "found": "not installed: usearch", "todo": "pip install usearch"} in report["findings"]


def test_without_metadata_of_its_own(examine: Callable[..., dict[str, Any]]) -> None:
    report = examine()
    assert list(report["packages"]) == ["pyarrow"]
    # That it cannot tell what is missing is a finding of its own.
    (question,) = report["unknown"]
    assert question.startswith("required: PackageNotFoundError")
    assert any(question in finding["found"] for finding in report["findings"])


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
    monkeypatch.setattr(child, "_TIMEOUT_S", 0.1)
    report = doctor.examine()
    assert not report.healthy
    assert report.facts.runtime_error == "gave no answer in 0.1 s"
