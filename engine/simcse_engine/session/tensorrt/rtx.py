"""TensorRT for RTX as onnxruntime's plugin: registered, its devices, a graph on one of them. Not yet run on a GPU."""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from ...errors import IntegrityError, ProviderError, RuntimeMissingError
from ...machine.device import parse_device
from ..library import first_line, import_runtime
from ..maker import make_session
from .libraries import INSTALL_RTX, RTX, rtx_plugin

if TYPE_CHECKING:
    import onnxruntime


def open_rtx(
    graph: Path,
    session_settings: "onnxruntime.SessionOptions",
    options: Mapping[str, str],
    device: str,
) -> "onnxruntime.InferenceSession":
    """Open ``graph`` on a GPU with TensorRT for RTX, whose provider takes the ``options``, and nothing else."""
    ort = import_runtime()
    _, index = parse_device(device)
    devices = [each for each in rtx_devices() if each.ep_options.get("device_id") == str(index)]
    if not devices:
        raise ProviderError(
            f"asked for {device}, and {RTX} finds no GPU there that it runs on (compute capability 8.6, 8.9, "
            "or 12.0 and later); run simcse-engine doctor"
        )
    session_settings.add_provider_for_devices(devices[:1], dict(options))
    try:
        # Links stay unresolved: the runtime looks for the plan beside the graph.
        session = make_session(ort, graph, session_settings, enable_fallback=0)
    except Exception as error:  # onnxruntime's exceptions have no common base of their own
        raise IntegrityError(f"{graph}: onnxruntime {ort.__version__} cannot open it: {first_line(error)}") from error
    if session.get_providers()[0] != RTX:
        raise ProviderError(f"asked for {device}, got {session.get_providers()[0]}; run simcse-engine doctor")
    return session


def rtx_devices() -> "list[onnxruntime.OrtEpDevice]":
    """Register the plugin, unless that is done, and return the GPUs that it runs on."""
    ort = import_runtime()
    if not hasattr(ort, "register_execution_provider_library"):
        raise RuntimeMissingError(f"onnxruntime {ort.__version__} takes no plugins; pip install 'onnxruntime>=1.24'")
    name, library = rtx_plugin()
    if not (devices := _devices(ort, name)):
        try:
            ort.register_execution_provider_library(name, library)
        except Exception as error:  # onnxruntime's exceptions have no common base of their own
            raise ProviderError(
                f"{name} does not load: {first_line(error)}; see that nvidia-smi answers, then {INSTALL_RTX}"
            ) from error
        devices = _devices(ort, name)
    return devices


def _devices(ort: ModuleType, name: str) -> "list[onnxruntime.OrtEpDevice]":
    return [device for device in ort.get_ep_devices() if device.ep_name == name]
