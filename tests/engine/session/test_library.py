"""ONNX Runtime as it may be installed: once, twice, not at all, damaged, without its providers."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import simcse_engine
from simcse_engine.session import library


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A package folder with all that is installed here, by links, except any onnxruntime."""
    folder = tmp_path / "site"
    folder.mkdir()
    for path in Path(np.__file__).parents[1].iterdir():
        if not path.name.startswith("onnxruntime"):
            (folder / path.name).symlink_to(path)
    engine = folder / "simcse_engine"
    engine.unlink(missing_ok=True)
    engine.symlink_to(Path(simcse_engine.__file__).parent)
    return folder


def install(site: Path, *builds: str, code: str | None = "") -> None:
    for build in builds:
        (site / f"{build}-1.22.0.dist-info").mkdir()
    (site / "onnxruntime").mkdir()
    if code is not None:
        (site / "onnxruntime/__init__.py").write_text(code)


def python(site: Path, expression: str) -> str:
    """What ``expression`` gives in a Python whose packages are those in ``site``; an error gives its type and text."""
    code = f"""if True:
        from simcse_engine.session import graph, library
        from simcse_engine.errors import SimCSEError
        try:
            print({expression})
        except SimCSEError as error:
            print(type(error).__name__, error)
    """
    command = [sys.executable, "-S", "-c", code]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_no_build_is_installed(site: Path) -> None:
    assert python(site, "library.installed_builds()") == "[]"


@pytest.mark.parametrize(
    ("folders", "builds"),
    [
        (["onnxruntime"], ["onnxruntime"]),
        (["onnxruntime_gpu"], ["onnxruntime-gpu"]),
        (["onnxruntime", "onnxruntime_gpu"], ["onnxruntime", "onnxruntime-gpu"]),
        (["onnxruntime", "onnxruntime_extensions", "onnxruntime_genai_cuda"], ["onnxruntime"]),
        (["onnxruntime_directml", "onnxruntime_openvino"], ["onnxruntime-directml", "onnxruntime-openvino"]),
        ([], []),
    ],
)
def test_installed_builds(site: Path, folders: list[str], builds: list[str]) -> None:
    install(site, *folders)
    assert python(site, "library.installed_builds()") == repr(builds)


def test_without_a_runtime_the_error_says_what_to_install(site: Path) -> None:
    output = python(site, "library.import_runtime()")
    assert output.startswith("RuntimeMissingError onnxruntime is not installed; ")
    assert "simcse-engine[cpu]" in output
    assert "simcse-engine[gpu]" in output


def test_two_builds_are_refused_before_either_is_imported(site: Path) -> None:
    install(site, "onnxruntime", "onnxruntime_gpu", code="raise SystemExit('imported')")
    output = python(site, "library.import_runtime()")
    assert output.startswith("RuntimeMissingError onnxruntime and onnxruntime-gpu are installed together")
    assert "pip uninstall -y onnxruntime onnxruntime-gpu" in output


def test_a_runtime_that_cannot_be_loaded_is_named_with_its_own_words(site: Path) -> None:
    install(site, "onnxruntime", code="raise ImportError('libfoo.so.1: cannot open shared object file')")
    output = python(site, "library.import_runtime()")
    assert output.startswith("RuntimeMissingError onnxruntime cannot be loaded (libfoo.so.1: cannot open shared")


def test_the_leftovers_of_an_uninstalled_build_are_no_runtime(site: Path) -> None:
    install(site, "onnxruntime", code=None)
    output = python(site, "library.import_runtime().get_available_providers()")
    assert output.startswith("RuntimeMissingError onnxruntime cannot be loaded (its files are missing)")


def test_one_build_is_installed_here() -> None:
    assert len(library.installed_builds()) == 1
    assert library.import_runtime().__name__ == "onnxruntime"
    assert "CPUExecutionProvider" in library.import_runtime().get_available_providers()


def test_the_cpu_provider_loads() -> None:
    assert library.probe_provider("CPUExecutionProvider") is None


@pytest.mark.filterwarnings("ignore:Specified provider:UserWarning")
def test_a_provider_that_is_not_there_does_not_load(capfd: pytest.CaptureFixture[str]) -> None:
    assert library.probe_provider("NoSuchExecutionProvider")
    # onnxruntime would announce on stdout, where results go, that it falls back.
    assert capfd.readouterr().out == ""


def test_the_probe_is_a_valid_model_that_gives_back_its_input() -> None:
    onnx = pytest.importorskip("onnx")
    made = onnx.helper.make_model(
        onnx.helper.make_graph(
            [onnx.helper.make_node("Identity", ["x"], ["y"])],
            "p",
            [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])],
            [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])],
        ),
        opset_imports=[onnx.helper.make_opsetid("", 17)],
        ir_version=8,
    )
    probe = onnx.load_from_string(library._PROBE)
    assert probe == made
    onnx.checker.check_model(probe, full_check=True)


# An onnxruntime whose CUDA libraries are missing, in the words and by the ways of the real one.
_WITHOUT_CUDA = """
__version__ = "1.22.0"
preload_dlls = lambda: None
get_available_providers = lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
class SessionOptions:
    add_session_config_entry = lambda *_: None
class GraphOptimizationLevel:
    ORT_DISABLE_ALL = 0
class InferenceSession:
    def __init__(self, graph, settings, providers, enable_fallback=1):
        if enable_fallback:
            print("EP Error, falling back")
        {}
    get_providers = lambda self: ["CPUExecutionProvider"]
"""


@pytest.mark.parametrize("way", ["raise RuntimeError('CUDA failure 35')", "pass"], ids=["raises", "falls back"])
def test_cuda_that_does_not_load_is_the_provider_s_fault(site: Path, way: str) -> None:
    install(site, "onnxruntime_gpu", code=_WITHOUT_CUDA.format(way))
    output = python(site, "graph.open_graph('.', graph.settings(1), 'CUDAExecutionProvider', device='cuda')")
    assert output.startswith("ProviderError asked for cuda, ")
    assert ("CUDA failure 35" if "raise" in way else "got CPUExecutionProvider") in output
