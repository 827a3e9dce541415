"""What a wheel holds where there is a compiler, where there is none, and where the compiler refuses."""

import importlib.util
import tarfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hatchling.builders.sdist import SdistBuilder

from build_kernels.compilers import ZIGLANG, Compiler
from build_kernels.library import Build, CompileError
from build_kernels.platforms import PLATFORMS, Platform

ROOT = Path(__file__).resolve().parents[1]
LINUX = PLATFORMS["linux-x86_64"]
ZIG, CLANG = Compiler(("zig",), zig=True, version="zig"), Compiler(("clang",), zig=False, version="clang")


class Words:
    """Stands for the application that a hook writes to."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def display_warning(self, words: str) -> None:
        self.warnings.append(words)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """hatch_build.py on a Linux machine with zig, whose library is a path alone."""
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.delenv(module.WANTED, raising=False)
    monkeypatch.setattr(module, "native", lambda: LINUX)
    monkeypatch.setattr(module, "find_compiler", lambda _: ZIG)
    monkeypatch.setattr(Build, "library", lambda _: Path("built.so"))
    return module


def run(script: ModuleType, version: str = "standard") -> tuple[dict[str, Any], list[str], list[str]]:
    """The build data after the hook, its warnings, and what it asks pip for."""
    words = Words()
    hook = script.KernelsHook(str(ROOT), {}, None, None, "", "wheel", words)
    data: dict[str, Any] = {"force_include": {}, "pure_python": True}
    asked = hook.dependencies()
    hook.initialize(version, data)
    return data, words.warnings, asked


PURE = {"force_include": {}, "pure_python": True}


@pytest.mark.parametrize("platform", PLATFORMS.values(), ids=lambda platform: platform.name)
def test_zig_makes_a_wheel_for_old_systems(
    platform: Platform, script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(script.WANTED, platform.name)
    data, warnings, asked = run(script)
    assert data["force_include"] == {"built.so": f"simcse_engine/kernels/{platform.library}"}
    assert data["tag"] == f"py3-none-{platform.portable}"
    assert data["pure_python"] is False
    assert not warnings
    assert not asked


def test_clang_makes_a_wheel_for_its_own_system(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "find_compiler", lambda _: CLANG)
    assert run(script)[0]["tag"] == "py3-none-linux_x86_64"


def test_without_a_compiler_pip_is_asked_for_one(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "find_compiler", lambda _: None)
    data, (warning,), asked = run(script)
    assert asked == [ZIGLANG]
    assert data == PURE
    assert "without its native kernels: no compiler; pip install 'ziglang" in warning
    monkeypatch.setenv(script.WANTED, "linux-aarch64")
    with pytest.raises(RuntimeError, match="no compiler for linux-aarch64"):
        run(script)


def test_without_kernels_for_the_platform(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "native", lambda: None)
    data, (warning,), asked = run(script)
    assert (data, asked) == (PURE, [])
    assert "there are none for this platform" in warning


def test_no_library_is_wanted(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(script.WANTED, "0")
    data, (warning,), asked = run(script)
    assert (data, asked) == (PURE, [])
    assert "SIMCSE_BUILD_KERNELS=0" in warning
    monkeypatch.setenv(script.WANTED, "windows")
    with pytest.raises(ValueError, match="SIMCSE_BUILD_KERNELS=windows: expected 0, 1 or one of linux-x86_64"):
        run(script)


def test_what_the_compiler_refuses_ends_the_build(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Build) -> Path:
        raise CompileError("no such instruction")

    monkeypatch.setattr(Build, "library", refuse)
    with pytest.raises(CompileError, match="no such instruction"):
        run(script)


def test_an_editable_install_has_the_library_in_the_package(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = []
    monkeypatch.setattr(Build, "into", lambda _, folder: folders.append(folder))
    assert run(script, "editable")[0] == PURE
    assert folders == [ROOT / "engine/simcse_engine/kernels"]


def test_the_source_distribution_can_build_the_library(tmp_path: Path) -> None:
    (archive,) = SdistBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with tarfile.open(archive) as files:
        names = {name.split("/", 1)[1] for name in files.getnames() if "/" in name}
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "engine/kernels").rglob("*.*")}
    sources = {path for path in sources if path.endswith((".cc", ".h", ".py"))}
    assert sources | {"hatch_build.py", "pyproject.toml"} <= names
    assert not any("libsimcse_kernels" in name or name.startswith("tests/") for name in names)
