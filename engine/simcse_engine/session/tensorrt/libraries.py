"""NVIDIA's compilers of networks: TensorRT and TensorRT for RTX, found and loaded, with their versions.

The runtime's TensorRT provider is linked to one major version of TensorRT: 10 in the wheels, 11 where somebody has
built the runtime with that (docs/decisions/023-tensorrt-plans.md). Its ``libnvinfer.so.10`` or ``….11`` lies where pip
packages put it, and the system's loader does not look. So `load_tensorrt` loads it by its path, before that provider is
used. TensorRT for RTX comes with its
provider, in a package that registers with the runtime as a plugin.
"""

import contextlib
import ctypes
import importlib.util
import re
from pathlib import Path

from ...errors import RuntimeMissingError
from ..library import CUDA, import_runtime, preload_libraries

# The runtime's names for the two providers.
TENSORRT, RTX = "TensorrtExecutionProvider", "NvTensorRTRTXExecutionProvider"

INSTALL_RTX = "pip install 'simcse-engine[tensorrt-rtx]'"

_PLUGIN = "onnxruntime_ep_nv_tensorrt_rtx"
_PROVIDER = "libonnxruntime_providers_tensorrt.so"
# The version of the runtime's wheels, and the first release of it for CUDA 13.
WHEELS_MAJOR, _LEAST = 10, "10.13"
# The libraries that onnxruntime's provider is linked to, in the order in which they need each other.
_LIBRARIES = ("libnvinfer", "libnvinfer_plugin", "libnvonnxparser")
_TENSORRT_PACKAGE = "tensorrt_libs"


def install_tensorrt(major: int) -> str:
    """How to install a major version of TensorRT.

    >>> install_tensorrt(11)
    "pip install --extra-index-url https://pypi.nvidia.com 'tensorrt-cu13>=11,<12'"
    """
    least = _LEAST if major == WHEELS_MAJOR else major
    return f"pip install --extra-index-url https://pypi.nvidia.com 'tensorrt-cu13>={least},<{major + 1}'"


def linked_major(provider: Path) -> int:
    """The major version that onnxruntime's TensorRT provider, a library, is linked to; the usual one where it is not.

    Read from the name of what it needs: to load the library, that must be there.
    """
    try:
        needed = re.search(rb"\0libnvinfer\.so\.(\d+)\0", provider.read_bytes())
    except OSError:
        needed = None
    return WHEELS_MAJOR if needed is None else int(needed[1])


def tensorrt_major() -> int:
    """The major version of TensorRT that the installed onnxruntime takes."""
    return linked_major(Path(str(import_runtime().__file__)).parent / "capi" / _PROVIDER)


def load_tensorrt() -> str:
    """Load the libraries that onnxruntime's TensorRT provider needs, and return their version, such as "10.13.3.9"."""
    # They need CUDA's.
    preload_libraries(import_runtime(), CUDA)
    major = tensorrt_major()
    folder = _package(_TENSORRT_PACKAGE)
    try:
        loaded = [_load(f"{name}.so.{major}", folder) for name in _LIBRARIES]
    except OSError as error:
        others = sorted(path.name for path in folder.glob("libnvinfer.so.*")) if folder else []
        beside = f"; {', '.join(others)} lies in {folder}" if others else ""
        raise RuntimeMissingError(
            f"TensorRT {major} cannot be loaded ({error}){beside}; onnxruntime's TensorRT provider takes no other "
            f"version: {install_tensorrt(major)}"
        ) from error
    return _version(loaded[0])


def load_rtx() -> str:
    """Load TensorRT for RTX from its provider's package, and return its version, such as "1.7.1.116"."""
    folder = _package(_PLUGIN)
    if folder is None:
        raise RuntimeMissingError(f"TensorRT for RTX is not installed; {INSTALL_RTX}")
    try:
        # Each by the path of its only version: the plugin's first import makes the names that the loader knows.
        loaded = [
            _load(max(path.name for path in folder.glob(f"{name}.so.*")), folder)
            for name in ("libcudart", "libtensorrt_rtx", "libtensorrt_onnxparser_rtx")
        ]
    except (OSError, ValueError) as error:
        raise RuntimeMissingError(
            f"TensorRT for RTX in {folder} cannot be loaded ({error}); {INSTALL_RTX} --force-reinstall"
        ) from error
    return _version(loaded[1])


def rtx_plugin() -> tuple[str, str]:
    """The name and the library of the provider of TensorRT for RTX, to register with onnxruntime."""
    if _package(_PLUGIN) is None:
        raise RuntimeMissingError(f"TensorRT for RTX is not installed; {INSTALL_RTX}")
    # The import links its libraries under the names by which they look for each other, and loads them.
    import onnxruntime_ep_nv_tensorrt_rtx as plugin

    return plugin.get_ep_name(), plugin.get_library_path()


def _package(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def _load(name: str, folder: Path | None) -> ctypes.CDLL:
    """Load a library from ``folder`` if it is there, else from where the system looks."""
    if folder is not None and (folder / name).is_file():
        return ctypes.CDLL(str(folder / name))
    return ctypes.CDLL(name)


def _version(library: ctypes.CDLL) -> str:
    number = library.getInferLibVersion()
    parts = [number // 10_000, number // 100 % 100, number % 100]
    with contextlib.suppress(AttributeError):  # the first releases of 10 do not tell it
        parts.append(library.getInferLibBuildVersion())
    return ".".join(map(str, parts))
