"""How the native library is built: compilers, objects that are kept, and what the compiler refuses."""

import ctypes
import shutil
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from build_kernels import library
from build_kernels.compilers import ZIGLANG, Compiler, find_compiler
from build_kernels.library import Build, CompileError
from build_kernels.platforms import PLATFORMS, native
from support.kernels import build_for_tests

ROOT = Path(__file__).resolve().parents[3]
EXPORT = 'extern "C" __attribute__((visibility("default")))'


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """Sources of the real ones' structure: a file compiled for each variant, one for all, one for tests."""
    (tmp_path / "answer.h").write_text("#define ANSWER 42\n")
    (tmp_path / "variant.cc").write_text(
        "#define JOIN2(a, b) a##b\n#define JOIN(a, b) JOIN2(a, b)\n"
        f"{EXPORT} int JOIN(of_, SIMCSE_VARIANT)() {{\n"
        "#if defined(__AVX2__) || defined(__ARM_FEATURE_DOTPROD)\n  return 1;\n#else\n  return 0;\n#endif\n}\n"
    )
    (tmp_path / "answer.cc").write_text(f'#include "answer.h"\n{EXPORT} int answer() {{ return ANSWER; }}\n')
    (tmp_path / "testing.cc").write_text(f"{EXPORT} int for_tests() {{ return SIMCSE_TESTING; }}\n")
    return tmp_path


@pytest.fixture
def build(sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Build:
    """A build without anything kept but zig's own files."""
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "zig").symlink_to(library.KEPT / "zig")
    (library.KEPT / "zig").mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr(library, "KEPT", kept)
    return replace(build_for_tests(sources=sources), testing=False)


def test_the_library_has_every_variant_and_nothing_for_tests(build: Build, tmp_path: Path) -> None:
    made = ctypes.CDLL(str(build.into(tmp_path / "out")))
    assert made.answer() == 42
    for variant in build.platform.variants:
        assert made[f"of_{variant.name}"]() == 1, "compiled with the variant's instructions"
    assert not hasattr(made, "for_tests")
    assert ctypes.CDLL(str(replace(build, testing=True).library())).for_tests() == 1


def test_only_what_changed_is_compiled(build: Build, sources: Path, tmp_path: Path) -> None:
    first = set(build.objects())
    assert set(build.objects()) == first

    calls = tmp_path / "calls"
    build = replace(build, compiler=_counted(build.compiler, calls))
    assert set(build.objects()) == first
    assert not calls.exists(), "all were kept"

    (sources / "answer.cc").write_text((sources / "answer.cc").read_text() + "// more\n")
    assert len(set(build.objects()) - first) == 1
    (sources / "answer.h").write_text("#define ANSWER 43\n")
    assert not set(build.objects()) & first, "a header may be in any of them"


def test_what_was_not_used_for_long_is_forgotten(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = build.objects()
    library.forget()
    assert all(file.is_file() for file in objects)
    monkeypatch.setattr(library, "_DAYS_KEPT", -1)
    library.forget()
    assert not any(file.is_file() for file in objects)
    assert [path.name for path in library.KEPT.iterdir()] == ["zig"], "the compiler's own copies go with each run of it"


def test_the_compilers_own_words_are_shown(build: Build, sources: Path, tmp_path: Path) -> None:
    (sources / "answer.cc").write_text("int answer() { return nothing; }\n")
    with pytest.raises(CompileError, match="use of undeclared identifier 'nothing'"):
        build.into(tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="macOS's linker is not asked")
def test_a_name_that_nothing_defines_is_an_error(build: Build, sources: Path) -> None:
    (sources / "answer.cc").write_text(f"int missing();\n{EXPORT} int answer() {{ return missing(); }}\n")
    with pytest.raises(CompileError, match="missing"):
        build.library()


@pytest.mark.parametrize("name", PLATFORMS)
def test_every_platform_is_built_here(name: str, build: Build) -> None:
    if not build.compiler.zig:
        pytest.skip("only zig builds for other platforms")
    made = replace(build, platform=PLATFORMS[name]).library().read_bytes()
    assert made.startswith(b"\xcf\xfa\xed\xfe" if "macos" in name else b"\x7fELF")


def test_a_compiler_that_is_not_clang_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    platform = native()
    if platform is None or find_compiler(platform) is None:
        pytest.skip("no compiler, or no platform with kernels")
    other = _script(tmp_path / "c++", "echo 'g++ (Debian) 12.2.0'")
    old = _script(tmp_path / "clang++", "echo 'Debian clang version 14.0.6'")
    good = _script(tmp_path / "good", "echo 'clang version 19.1.0'")
    found = find_compiler(platform)
    for command in (other, old, tmp_path / "missing"):
        monkeypatch.setenv("CXX", str(command))
        assert find_compiler(platform) == found
    monkeypatch.setenv("CXX", f"{good} -v")
    assert find_compiler(platform) == Compiler((str(good), "-v"), zig=False, version="clang version 19.1.0")
    other_platform = next(other for other in PLATFORMS.values() if other != platform)
    assert find_compiler(other_platform) != find_compiler(platform), "clang has its own system's libraries alone"


def test_the_environment_of_development_has_the_ziglang_that_pip_would_fetch() -> None:
    assert f'"{ZIGLANG}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def _script(path: Path, line: str) -> Path:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def _counted(compiler: Compiler, calls: Path) -> Compiler:
    """The same compiler, which leaves a line in ``calls`` whenever it runs."""
    assert shutil.which("sh")
    return replace(compiler, command=("sh", "-c", f'echo called >> {calls}; exec "$@"', "sh", *compiler.command))
