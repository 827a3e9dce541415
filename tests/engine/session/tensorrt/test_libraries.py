"""TensorRT and TensorRT for RTX are found and loaded where they are, and asked for by name where they are not."""

import ctypes
import importlib.metadata
import sys
import types
from pathlib import Path

import pytest

from simcse_engine.errors import ProviderError, RuntimeMissingError
from simcse_engine.session.tensorrt import libraries, rtx
from simcse_engine.session.tensorrt import session as tensorrt

BINDINGS = "tensorrt-rtx-cu13-bindings"


def loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def has_rtx() -> bool:
    return any(each.metadata["Name"].replace("_", "-") == BINDINGS for each in importlib.metadata.distributions())


def test_tensorrt_for_rtx_tells_its_version() -> None:
    if not has_rtx():
        pytest.skip("TensorRT for RTX comes for Linux on x86_64 alone")
    assert libraries.load_rtx() == importlib.metadata.version(BINDINGS)
    assert tensorrt.builder("tensorrt-rtx") == f"tensorrt-rtx {libraries.load_rtx()}"


def test_its_plugin_needs_the_driver() -> None:
    if not has_rtx() or loads("libcuda.so.1"):
        pytest.skip("this machine has NVIDIA's driver, or not TensorRT for RTX")
    with pytest.raises(ProviderError, match=r"NvTensorRTRTX.* does not load: .*libcuda\.so\.1.*; see that nvidia-smi"):
        rtx.rtx_devices()


def test_tensorrt_that_is_not_here_is_asked_for() -> None:
    if loads("libnvinfer.so.10"):
        pytest.skip("this machine has TensorRT")
    with pytest.raises(RuntimeMissingError, match=r"libnvinfer\.so\.10: .*'tensorrt-cu13>=10\.13,<11'") as raised:
        libraries.load_tensorrt()
    assert "lies in" not in str(raised.value)


def test_tensorrt_of_another_version_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if loads("libnvinfer.so.10"):
        pytest.skip("this machine has TensorRT")
    package = tmp_path / "tensorrt_libs"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "libnvinfer.so.11").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(RuntimeMissingError, match=rf"; libnvinfer\.so\.11 lies in {package}; .* no other version"):
        tensorrt.builder("tensorrt")
    assert "tensorrt_libs" not in sys.modules


@pytest.mark.parametrize(
    ("content", "major"),
    [
        (b"\x7fELF\0libcublas.so.13\0libnvinfer.so.11\0libnvonnxparser.so.11\0", 11),
        (b"\x7fELF\0libnvonnxparser.so.10\0libnvinfer.so.10\0", 10),
        (b"\x7fELF\0cannot load libnvinfer.so.12: \0", 10),
        (None, 10),
    ],
)
def test_the_version_is_the_one_that_the_provider_is_linked_to(
    tmp_path: Path, content: bytes | None, major: int
) -> None:
    provider = tmp_path / "libonnxruntime_providers_tensorrt.so"
    if content is not None:
        provider.write_bytes(content)
    assert libraries.linked_major(provider) == major


def test_a_runtime_for_tensorrt_11_asks_for_11(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if loads("libnvinfer.so.11"):
        pytest.skip("this machine has TensorRT 11")
    runtime = types.ModuleType("onnxruntime")
    runtime.__file__ = str(tmp_path / "onnxruntime/__init__.py")
    runtime.preload_dlls = lambda: None  # type: ignore[attr-defined]
    (tmp_path / "onnxruntime/capi").mkdir(parents=True)
    provider = tmp_path / "onnxruntime/capi/libonnxruntime_providers_tensorrt.so"
    provider.write_bytes(b"\0libnvinfer.so.11\0")
    monkeypatch.setattr(libraries, "import_runtime", lambda: runtime)
    with pytest.raises(RuntimeMissingError, match=r"TensorRT 11 cannot .*\.so\.11: .*'tensorrt-cu13>=11,<12'"):
        libraries.load_tensorrt()


def test_a_damaged_library_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "damaged_plugin"
    package.mkdir()
    (package / "__init__.py").touch()
    for name in ("libcudart.so.13.4.36", "libtensorrt_rtx.so.1.7.1", "libtensorrt_onnxparser_rtx.so.1.7.1"):
        (package / name).write_bytes(b"not a library")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("simcse_engine.session.tensorrt.libraries._PLUGIN", "damaged_plugin")
    with pytest.raises(RuntimeMissingError, match=r"cannot be loaded \(.*libcudart.*--force-reinstall"):
        libraries.load_rtx()
