"""What must be there before a second of a GPU is spent. Imports nothing heavy, so it says so at once."""

import importlib.util
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from simcse_engine.errors import SimCSEError
from simcse_engine.machine.device import parse_device
from simcse_engine.machine.nvidia import gpu
from simcse_engine.session.library import installed_builds

_NEEDED = ("numpy", "tokenizers", "onnxruntime", "torch", "transformers")
_CUDA_PROVIDER = "capi/libonnxruntime_providers_cuda.so"
# Contestants that are absent without them.
_WANTED = {
    "sentence_transformers": "sentence-transformers takes no part",
    "flash_attn": "unpadded attention is torch's own kernel of FlashAttention (torch.nn.attention.varlen)",
}
_PACKAGES = (
    *("onnxruntime-gpu", "onnxruntime", "torch", "transformers", "sentence-transformers", "flash-attn", "kernels"),
    *("tokenizers", "triton"),
)


def missing(device: str) -> list[str]:
    """What is not there and must be, a line each."""
    lacks = [f"the package {name}" for name in _NEEDED if not _has(name)]
    builds = installed_builds()
    if len(builds) > 1:
        lacks.append(f"{' and '.join(builds)} overwrite each other's files: pip uninstall one")
    if device == "cpu":
        return lacks
    if _has("onnxruntime") and not _provider().is_file():
        lacks.append("onnxruntime-gpu: the onnxruntime that is here is a build for CPUs")
    try:
        gpu(parse_device(device)[1])
    except SimCSEError as error:
        lacks.append(f"a GPU: {error}")
    return lacks


def wanting() -> list[str]:
    """What is not there and need not be, with what that means."""
    return [f"without {name}, {meaning}" for name, meaning in _WANTED.items() if not _has(name)]


def versions() -> dict[str, str]:
    """The packages that speed depends on."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def device_name(device: str) -> str:
    """The GPU's name, as its driver has it; "cpu" without one."""
    return "cpu" if device == "cpu" else gpu(parse_device(device)[1]).name


def _has(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _provider() -> Path:
    found = importlib.util.find_spec("onnxruntime")
    folders = [] if found is None else found.submodule_search_locations or []
    return Path(next(iter(folders), "")) / _CUDA_PROVIDER
