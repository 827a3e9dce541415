"""Sources → objects → one shared library. Objects are kept under names made of all that they depend on."""

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from .compilers import Compiler
from .platforms import Platform, Variant

SOURCES = Path(__file__).resolve().parents[1]
ROOT = SOURCES.parents[1]
PACKAGE = ROOT / "engine/simcse_engine/kernels"
KEPT = ROOT / "build/kernels"

# Compiled once for each variant; all others are compiled once, some of them in certain builds alone.
_VARIANT, _TESTING, _TIMING = "variant.cc", "testing.cc", "timing.cc"

# Without the C++ library; products and sums are fused where the sources say so, and nowhere else.
_COMMON = ["-std=c++20", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics", "-ffp-contract=off"]
_COMMON += ["-fvisibility=hidden", "-fPIC", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-psabi"]
# The sources unroll what must be; more makes the library a third larger and nothing faster. zig adds a stack protector
# and frame pointers. Nothing is thrown, so nothing needs unwinding.
_FAST = ["-fno-unroll-loops", "-fno-vectorize", "-fno-slp-vectorize"]
_FAST += ["-fno-stack-protector", "-fomit-frame-pointer", "-U_FORTIFY_SOURCE"]
_FAST += ["-fno-asynchronous-unwind-tables", "-fno-unwind-tables"]
_CHECKED = ["-O1", "-g", "-fno-omit-frame-pointer", "-fno-sanitize-recover=all"]
_DAYS_KEPT = 14


class CompileError(Exception):
    """The compiler refused; the message is its command and its own words."""


@dataclass(frozen=True)
class Build:
    """What to build, and with what.

    Attributes:
        platform: what the library is for.
        compiler: what compiles and links it.
        sources: the folder of the C++ files.
        testing: with ``testing.cc`` and ``SIMCSE_TESTING``, and not stripped.
        timing: with ``timing.cc`` and ``SIMCSE_TIMING``, which count the time of each step.
        sanitizers: of "address" and "undefined". The first one's runtime is nowhere in the library: a process loads it
            before everything else.
        sanitized: the variants that these check, by name; None for all. Of the others it is the build without them.
    """

    platform: Platform
    compiler: Compiler
    sources: Path = SOURCES
    testing: bool = False
    timing: bool = False
    sanitizers: tuple[str, ...] = ()
    sanitized: tuple[str, ...] | None = None

    def into(self, folder: Path) -> Path:
        """Build the shared library, copy it into ``folder``, and return the copy's path.

        Raises:
            CompileError: the compiler refused.
        """
        made = folder / self.platform.library
        _replace(self.library(), made)
        return made

    def library(self) -> Path:
        """The shared library, kept among the objects.

        Raises:
            CompileError: the compiler refused.
        """
        return self._kept(self._link_flags(), self.objects(), self.platform.library)

    def program(self, main: Path) -> Path:
        """A static program of the C++ file ``main`` and the library's objects, kept among these.

        Raises:
            CompileError: the compiler refused.
        """
        # With -g, or zig takes the symbols out of what it optimizes for size.
        flags = [*self._flags(None), "-g", "-static", "-nostdlib++", "-Wl,--no-gc-sections"]
        return self._kept(flags, [*self.objects(), main], main.stem)

    def objects(self) -> list[Path]:
        """The objects, compiled on all CPUs where they are not kept.

        Raises:
            CompileError: the compiler refused.
        """
        jobs: list[tuple[str, Variant | None]] = []
        for source in sorted(self.sources.glob("*.cc")):
            if source.name == _VARIANT:
                jobs.extend((source.name, variant) for variant in self.platform.variants)
            elif {_TESTING: self.testing, _TIMING: self.timing}.get(source.name, True):
                jobs.append((source.name, None))
        if not jobs:
            raise CompileError(f"{self.sources}: no C++ files")
        # The variants take longest, so they start first.
        jobs.sort(key=lambda job: job[1] is None)
        with ThreadPoolExecutor(_cpus()) as pool:
            return list(pool.map(lambda job: self._object(*job), jobs))

    def _object(self, source: str, variant: Variant | None) -> Path:
        inputs = [self.sources / source, *sorted(self.sources.glob("*.h"))]
        defined = [f"-DSIMCSE_VARIANT={variant.name}"] if variant else []
        flags = [*self._flags(variant), *defined, "-c"]
        name = f"{Path(source).stem}{'-' + variant.name if variant else ''}.o"
        return self._kept(flags, inputs, name, only=source)

    def _flags(self, variant: Variant | None) -> list[str]:
        flags = [*self.platform.flags(variant, zig=self.compiler.zig), *_COMMON]
        level = "-Os" if variant is None or variant.small else "-O2"
        checked = variant is None or self.sanitized is None or variant.name in self.sanitized
        flags += [*_CHECKED, *self._sanitizing()] if self.sanitizers and checked else [level, *_FAST]
        if self.timing:
            flags.append("-DSIMCSE_TIMING")
        # A newer compiler's warnings are no reason to leave a user without the library.
        return [*flags, "-DSIMCSE_TESTING", "-Werror"] if self.testing else flags

    def _link_flags(self) -> list[str]:
        flags = [*self.platform.flags(None, zig=self.compiler.zig), "-shared", "-nostdlib++", *self._sanitizing()]
        if self.platform.macos:
            flags += ["-install_name", f"@rpath/{self.platform.library}"]
        else:
            # A name that nothing defines fails here rather than when the library is loaded. Its threads outlive all
            # sessions, so it is never unloaded.
            flags += ["-lpthread", "-Wl,-z,nodelete", *([] if "address" in self.sanitizers else ["-Wl,-z,defs"])]
        if self.testing:
            return flags
        return [*flags, *(["-Wl,-S,-x"] if self.platform.macos and not self.compiler.zig else ["-s"])]

    def _sanitizing(self) -> list[str]:
        # zig hears both only if each has a flag of its own, and links its own report of undefined behaviour.
        flags = [f"-fsanitize={name}" for name in self.sanitizers]
        return flags if self.compiler.zig or not flags else [*flags, "-fsanitize-trap=undefined"]

    def _kept(self, flags: Sequence[str], inputs: Sequence[Path], name: str, *, only: str = "") -> Path:
        """The kept output of the compiler with these flags and inputs, made if it is not there.

        Args:
            flags: all flags.
            inputs: files whose content the output depends on; all are compiled or linked, unless ``only`` is given.
            name: how the kept file's name ends.
            only: the one of ``inputs`` that is compiled, by its name in the folder of the sources.
        """
        digest = hashlib.sha256(repr((self.compiler.version, list(flags))).encode())
        for file in inputs:
            digest.update(hashlib.sha256(file.read_bytes()).digest())
        kept = KEPT / f"{digest.hexdigest()[:20]}-{name}"
        if kept.is_file():
            os.utime(kept)
            return kept
        KEPT.mkdir(parents=True, exist_ok=True)
        unfinished = kept.with_name(f"{os.getpid()}-{kept.name}")
        compiled = [only] if only else [str(file) for file in inputs]
        command = [*self.compiler.command, *compiled, *flags, "-o", str(unfinished)]
        with tempfile.TemporaryDirectory(dir=KEPT, prefix="zig-") as copies:
            done = subprocess.run(
                command, cwd=self.sources, env=_environment(copies), capture_output=True, text=True, check=False
            )
        if done.returncode != 0:
            raise CompileError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
        unfinished.replace(kept)
        return kept


def forget() -> None:
    """Remove what was kept and not used for two weeks."""
    for file in _files(KEPT):
        with contextlib.suppress(FileNotFoundError):  # another build may forget or rename it first
            if time.time() - file.stat().st_mtime > _DAYS_KEPT * 86_400:
                file.unlink()


def _files(folder: Path) -> Iterable[Path]:
    return [file for file in folder.iterdir() if file.is_file()] if folder.is_dir() else []


def _replace(source: Path, target: Path) -> None:
    """Copy a file so that a process that has loaded the old one keeps it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f"{target.name}.{os.getpid()}")
    shutil.copy2(source, unfinished)
    unfinished.replace(target)


def _environment(copies: str) -> dict[str, str]:
    """This process's, with zig's libraries beside the kept objects: a home folder may be missing or read-only.

    zig's own copies of what it compiles go into the folder ``copies``.
    """
    return {"ZIG_GLOBAL_CACHE_DIR": str(KEPT / "zig"), "ZIG_LOCAL_CACHE_DIR": copies, **os.environ}


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
