"""Finds a compiler: clang 18 or newer, which the package ziglang is too."""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass

from .platforms import Platform, native

# What pip installs where no other compiler is. `test` in pyproject.toml asks for the same.
ZIGLANG = "ziglang>=0.16,<0.18"

_OLDEST_CLANG = 18
_OLDEST_APPLE_CLANG = 16  # Apple counts its own versions; this one is made from LLVM 17 to 19
_VERSION = re.compile(r"(Apple )?clang version (\d+)[^\s]*")


@dataclass(frozen=True)
class Compiler:
    """A command that compiles C++.

    Attributes:
        command: the program and its first arguments.
        zig: whether it is zig, which brings every platform's headers and libraries.
        version: as it states it, for people and for the names of kept objects.
    """

    command: tuple[str, ...]
    zig: bool
    version: str

    def builds(self, platform: Platform) -> bool:
        """Whether it has what ``platform`` needs; clang has the libraries of its own system only."""
        return self.zig or platform == native()


def find_compiler(platform: Platform) -> Compiler | None:
    """The first that builds for ``platform``: ``CXX``, ziglang in this Python's environment, the system's clang."""
    for command in _commands():
        compiler = _probe(command)
        if compiler is not None and compiler.builds(platform):
            return compiler
    return None


def _commands() -> list[tuple[str, ...]]:
    commands = []
    if os.environ.get("CXX"):
        commands.append(tuple(shlex.split(os.environ["CXX"])))
    if importlib.util.find_spec("ziglang") is not None:
        commands.append((sys.executable, "-m", "ziglang", "c++"))
    names = ["clang++", *(f"clang++-{version}" for version in range(30, _OLDEST_CLANG - 1, -1))]
    commands.extend((path,) for name in names if (path := shutil.which(name)))
    return commands


def _probe(command: tuple[str, ...]) -> Compiler | None:
    """What ``command`` is; None where it does not run, is no clang, or an older one."""
    try:
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _VERSION.search(done.stdout)
    if done.returncode != 0 or found is None:
        return None
    if int(found[2]) < (_OLDEST_APPLE_CLANG if found[1] else _OLDEST_CLANG):
        return None
    zig = "zig" in done.stdout
    return Compiler(command, zig, f"{'ziglang, ' if zig else ''}{found[0]}")
