"""ONNX Runtime: the one file that imports it; which build is installed, and which of its providers load.

The runtime is imported on first use, so that `import simcse_engine` and the command line's help stay quick.
"""

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import numpy as np

from ..errors import OutputError, RuntimeMissingError
from .maker import make_session

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
INSTALL = {"cpu": "pip install 'simcse-engine[cpu]'", "cuda": "pip install 'simcse-engine[gpu]'"}
_BUILDS = frozenset(
    "onnxruntime" + suffix
    for suffix in (
        *("", "-gpu", "-directml", "-openvino", "-qnn", "-rocm", "-migraphx", "-training", "-silicon", "-azure"),
        "-vitisai",
    )
)


def import_runtime() -> ModuleType:
    """Import onnxruntime; RuntimeMissingError if there is none, several over each other, or it cannot be loaded."""
    builds = installed_builds()
    if len(builds) > 1:
        raise RuntimeMissingError(
            f"{' and '.join(builds)} are installed together and overwrite each other's files; "
            f"pip uninstall -y {' '.join(builds)}, then install simcse-engine with either [cpu] or [gpu]"
        )
    # The Linux wheels since 1.29 report to Microsoft from a thread that a forked child lacks, and waits for at its
    # exit. The library reads this when it is loaded; a value that is set already stays.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime

        if onnxruntime.__file__ is None:
            # Python takes any folder for a package, such as the leftovers of an uninstalled build.
            raise ImportError("its files are missing")
    except ImportError as error:
        if importlib.util.find_spec("onnxruntime") is None:
            problem = "onnxruntime is not installed"
        else:
            problem = f"onnxruntime cannot be loaded ({first_line(error)})"
        raise RuntimeMissingError(
            f"{problem}; {INSTALL['cpu']} for CPUs, or {INSTALL['cuda']} for NVIDIA GPUs"
        ) from error
    module: ModuleType = onnxruntime
    return module


def preload_libraries(ort: ModuleType, provider: str) -> None:
    """Load CUDA's libraries from the packages that bring them, which the system's loader does not search."""
    if provider != CPU:
        ort.preload_dlls()


def installed_builds() -> list[str]:
    """The distributions that are installed under the package name ``onnxruntime``, such as "onnxruntime-gpu".

    Read from the names of the folders beside the package: `importlib.metadata` would take ten times as long.
    """
    spec = importlib.util.find_spec("onnxruntime")
    if spec is None or not spec.submodule_search_locations:
        return []
    builds = set()
    for location in spec.submodule_search_locations:
        for path in Path(location).parent.glob("onnxruntime*.dist-info"):
            name = path.name.split("-", 1)[0].replace("_", "-")
            # onnxruntime-genai, -extensions and execution-provider plugins are packages beside it, not builds of it.
            if name in _BUILDS:
                builds.add(name)
    return sorted(builds)


# The smallest graph there is, y = Identity(x): opens a provider without an artifact.
_PROBE = bytes.fromhex(
    "08083a370a100a017812017922084964656e746974791201705a0f0a0178120a0a08080112040a02080162"
    "0f0a0179120a0a08080112040a02080142040a001011"
)


def probe_provider(provider: str) -> str | None:
    """Try to run a tiny graph on ``provider``; None if that works, else the runtime's reason."""
    ort = import_runtime()
    preload_libraries(ort, provider)
    settings = ort.SessionOptions()
    settings.log_severity_level = 4
    settings.intra_op_num_threads = 1
    try:
        session = make_session(ort, _PROBE, settings, providers=[provider], enable_fallback=0)
        if session.get_providers()[0] != provider:
            return f"onnxruntime fell back to {session.get_providers()[0]}"
        session.run(None, {"x": np.zeros(1, np.float32)})
    except Exception as error:
        return first_line(error)
    return None


def save_optimized(source: Path, target: Path, weights: str) -> None:
    """Let the runtime rewrite a graph once, with fusions that hold on every machine.

    ``target`` is the ONNX file to write, and ``weights`` the name of the file beside it that its weights go to.
    """
    ort = import_runtime()
    settings = ort.SessionOptions()
    settings.log_severity_level = 3
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    settings.optimized_model_filepath = str(target)
    settings.add_session_config_entry("session.optimized_model_external_initializers_file_name", weights)
    settings.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", "1024")
    try:
        make_session(ort, source, settings, providers=[CPU])
    except Exception as error:  # onnxruntime's exceptions have no common base of their own
        raise OutputError(f"{target}: onnxruntime cannot rewrite or write the graph: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """The first line of an exception's message: below it the runtime writes a stack."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
