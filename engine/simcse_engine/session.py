"""ONNX Runtime: the one file that imports it. Opens a graph on a device with a thread plan, and runs it.

The runtime is imported on first use, so that `import simcse_engine` and the command line's help stay quick.
"""

import ctypes
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .artifact import GRAPH
from .errors import IntegrityError, OutputError, ProviderError, RuntimeMissingError

if TYPE_CHECKING:
    import onnxruntime

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_BUILDS = frozenset(
    "onnxruntime" + suffix
    for suffix in (
        *("", "-gpu", "-directml", "-openvino", "-qnn", "-rocm", "-migraphx", "-training", "-silicon", "-azure"),
        "-vitisai",
    )
)
_INSTALL = {"cpu": "pip install 'simcse-engine[cpu]'", "cuda": "pip install 'simcse-engine[gpu]'"}


@dataclass(frozen=True, kw_only=True)
class SessionOptions:
    """How a session runs.

    Attributes:
        device: "cpu", "cuda" or "cuda:N".
        threads: threads that share one run's work, the caller's among them.
    """

    device: str = "cpu"
    threads: int = 1


class Session:
    """One graph on one device; `run` may be called from many threads at once."""

    def __init__(self, artifact: Path, options: SessionOptions) -> None:
        """Open the graph of the artifact in ``artifact``.

        Raises:
            RuntimeMissingError: no onnxruntime, or two of them.
            ProviderError: the device is not to be had.
            IntegrityError: the runtime cannot read the graph.
        """
        self._session = _open(artifact / GRAPH, options)

    @property
    def dimension(self) -> int:
        """Floats a vector, as the graph states it."""
        return int(self._session.get_outputs()[0].shape[1])

    def run(self, input_ids: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
        """Run the graph on sentences laid end to end.

        Args:
            input_ids: [tokens], the token ids of all sentences, one after the other, special tokens included.
            lengths: [sentences], each sentence's count of tokens, at least 1; they add up to ``tokens``.

        Returns:
            float32 [sentences, dimension].
        """
        outputs = self._session.run(None, {"input_ids": input_ids, "lengths": lengths})
        vectors: NDArray[np.float32] = outputs[0]
        return vectors

    def abandon(self) -> None:
        """Never destroy this session. For a forked child, which has the session but not its threads.

        The destructor would wait for threads that did not survive the fork, for ever. So it must not run, not even
        when the interpreter ends: the object gets a reference that nobody gives back.
        """
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._session))


def _open(graph: Path, options: SessionOptions) -> "onnxruntime.InferenceSession":
    ort = import_runtime()
    name, colon, index = options.device.partition(":")
    provider = _PROVIDERS.get(name)
    if provider is None or (colon and (name == "cpu" or not index.isdecimal())):
        raise ProviderError(f"device {options.device!r} is unknown; 'cpu', 'cuda' and 'cuda:N' are known")
    if provider not in ort.get_available_providers():
        raise ProviderError(
            f"asked for {options.device}, and the onnxruntime {ort.__version__} here has no {provider}; "
            f"{_INSTALL[name]} in an environment without another onnxruntime, then run simcse-engine doctor"
        )
    _preload(ort, provider)
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    # Export wrote the graph as it shall run, so nothing is left to rewrite at load.
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    # Threads spin between the steps of a run, which its latency needs, and sleep as soon as the run is over.
    settings.add_session_config_entry("session.force_spinning_stop", "1")
    # A pattern of one batch's memory helps no batch of another shape, and keeps the largest one's memory.
    settings.enable_mem_pattern = False
    provider_options = {"device_id": index} if index else {}
    try:
        # As named, links unresolved: the hub's cache is made of links, and the weights are looked for beside the link.
        # Its fallback would go on on another device, at load or amid a run, and print to stdout that it did.
        session = ort.InferenceSession(
            str(graph), settings, providers=[(provider, provider_options)], enable_fallback=0
        )
    except Exception as error:  # onnxruntime's exceptions have no common base of their own
        said = probe_provider(provider)
        if said is not None:
            raise ProviderError(
                f"asked for {options.device}, and {provider} does not load: {said}; {_INSTALL[name]}, "
                "then run simcse-engine doctor"
            ) from error
        raise IntegrityError(
            f"{graph}: onnxruntime {ort.__version__} cannot open it: {_first_line(error)}; "
            "upgrade onnxruntime, or export again with this machine's version"
        ) from error
    if session.get_providers()[0] != provider:
        raise ProviderError(
            f"asked for {options.device}, got {session.get_providers()[0]}; {_INSTALL[name]}, "
            "then run simcse-engine doctor"
        )
    return session


def _preload(ort: ModuleType, provider: str) -> None:
    """Load CUDA and cuDNN from the packages that ``[gpu]`` brings, which the system's loader does not search."""
    if provider == _PROVIDERS["cuda"]:
        ort.preload_dlls()


def import_runtime() -> ModuleType:
    """Import onnxruntime after checking that there is one of it, and exactly one.

    Raises:
        RuntimeMissingError: none, several over each other, or one that cannot be loaded.
    """
    builds = installed_builds()
    if len(builds) > 1:
        raise RuntimeMissingError(
            f"{' and '.join(builds)} are installed together and overwrite each other's files; "
            f"pip uninstall -y {' '.join(builds)}, then install simcse-engine with either [cpu] or [gpu]"
        )
    # The Linux wheels since 1.29 report to Microsoft from a thread that a forked child has not, and waits for at its
    # exit. Read when the library is loaded; a value that is set already stays.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime

        if onnxruntime.__file__ is None:
            # Python takes any folder for a package, such as what another build's removal left of this one.
            raise ImportError("its files are missing")
    except ImportError as error:
        if importlib.util.find_spec("onnxruntime") is None:
            found = "onnxruntime is not installed"
        else:
            found = f"onnxruntime cannot be loaded ({_first_line(error)})"
        raise RuntimeMissingError(
            f"{found}; {_INSTALL['cpu']} for CPUs, or {_INSTALL['cuda']} for NVIDIA GPUs"
        ) from error
    module: ModuleType = onnxruntime
    return module


def installed_builds() -> list[str]:
    """The distributions that are installed under the package name ``onnxruntime``, such as "onnxruntime-gpu".

    Read from the folder's names beside the package: `importlib.metadata` would take ten times as long to tell.
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
    """Try to run a tiny graph on ``provider``; None if that works, else what the runtime said."""
    ort = import_runtime()
    _preload(ort, provider)
    settings = ort.SessionOptions()
    settings.log_severity_level = 4
    try:
        session = ort.InferenceSession(_PROBE, settings, providers=[provider], enable_fallback=0)
        if session.get_providers()[0] != provider:
            return f"onnxruntime fell back to {session.get_providers()[0]}"
        session.run(None, {"x": np.zeros(1, np.float32)})
    except Exception as error:
        return _first_line(error)
    return None


def open_bytes(model: bytes, *, threads: int) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Open a model of one input and one output on the CPU, with the runtime's defaults; returns what runs it."""
    ort = import_runtime()
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = threads
    session = ort.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(values: NDArray[Any]) -> NDArray[Any]:
        output: NDArray[Any] = session.run(None, {name: values})[0]
        return output

    return run


def available_providers() -> list[str]:
    """The providers compiled into this onnxruntime; whether they load is `probe_provider`'s answer."""
    providers: list[str] = import_runtime().get_available_providers()
    return providers


def save_optimized(source: Path, target: Path, weights: str) -> None:
    """Let the runtime rewrite a graph once (fusions that hold on every machine) and save it with external weights.

    Args:
        source: an ONNX file.
        target: where the rewritten graph goes.
        weights: file name, beside ``target``, for the weights.
    """
    ort = import_runtime()
    settings = ort.SessionOptions()
    settings.log_severity_level = 3
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    settings.optimized_model_filepath = str(target)
    settings.add_session_config_entry("session.optimized_model_external_initializers_file_name", weights)
    settings.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", "1024")
    try:
        ort.InferenceSession(str(source), settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no common base of their own
        raise OutputError(f"{target}: onnxruntime cannot rewrite or write the graph: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
