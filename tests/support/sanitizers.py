"""Sanitized builds of the native library, and processes that can load them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from build_kernels.compilers import Compiler
from support.debian import packaged

# What a process says of itself when a sanitizer ends it.
REPORTS = ("AddressSanitizer", "runtime error", "panic", "UndefinedBehavior", "Illegal instruction")


def address_runtime(compiler: Compiler) -> Path | None:
    """The shared runtime of AddressSanitizer, which a process loads before everything else; None where there is none.

    zig brings none. GCC's has the same interface (version 8 since 2016) and serves clang's objects.
    """
    if sys.platform != "linux":
        return None
    machine = os.uname().machine
    asked = [] if compiler.zig else [(*compiler.command, f"-print-file-name=libclang_rt.asan-{machine}.so")]
    if gcc := shutil.which("gcc"):
        asked.append((gcc, "-print-file-name=libasan.so"))
    for command in asked:
        path = Path(subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip())
        if path.is_absolute() and path.is_file():
            return path.resolve()
    installed = sorted(Path(f"/usr/lib/{machine}-linux-gnu").glob("libasan.so.[0-9]"))
    pattern = f"./usr/lib/{machine}-linux-gnu/libasan.so.*"
    return installed[-1] if installed else packaged("libasan8", pattern)


def run_sanitized(
    command: Sequence[str | Path], runtime: Path | None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command whose process may load a sanitized library; ``runtime`` is AddressSanitizer's, if it uses that."""
    # Python keeps memory until it ends, so leaks are not looked for.
    options = {"ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1", "PYTHONMALLOC": "malloc"}
    # AddressSanitizer looks for C++'s throw as it starts, before Python has loaded anything that throws.
    preload = {"LD_PRELOAD": f"{runtime}:libstdc++.so.6"} if runtime else {}
    return subprocess.run(
        command,
        env={**os.environ, **options, **preload, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
