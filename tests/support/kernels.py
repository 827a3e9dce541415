"""The native library's functions for tests: loaded into this process, or called in a program of another CPU."""

import ctypes
import os
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import pytest

from build_kernels.compilers import find_compiler
from build_kernels.library import SOURCES, Build
from build_kernels.platforms import Platform, native

# Variables with what the fixture `kernels` shall be: a library, or a command whose program is made of `driver.cc`.
LIBRARY, COMMAND = "SIMCSE_TESTING_LIBRARY", "SIMCSE_TESTING_COMMAND"

# An array is handed over as a pointer to its first element and may be changed, bytes as text that ends with zero, an
# integer as 64 bits, None as a null pointer. Other numbers are arrays of one.
Argument = np.ndarray | bytes | int | None


Value = TypeVar("Value")


def by_turns(values: Sequence[Value], turn: int) -> Sequence[Value]:
    """All values; under a sanitizer or an emulator, where calls take long, a third of them, another for each turn."""
    return values[turn % 3 :: 3] if LIBRARY in os.environ or COMMAND in os.environ else values


class Kernels(Protocol):
    """The functions of a testing build."""

    def call(self, name: str, *arguments: Argument) -> int:
        """Call a function and return its result, of 32 bits; AttributeError where there is none of that name."""

    def text(self, name: str, *arguments: Argument) -> str:
        """Call a function whose result is text."""


class Loaded:
    """A library in this process."""

    def __init__(self, library: Path) -> None:
        self.library = ctypes.CDLL(str(library))

    def call(self, name: str, *arguments: Argument) -> int:
        function = getattr(self.library, name)
        function.restype = ctypes.c_int
        return int(function(*map(_ctypes, arguments)))

    def text(self, name: str, *arguments: Argument) -> str:
        function = getattr(self.library, name)
        function.restype = ctypes.c_char_p
        return bytes(function(*map(_ctypes, arguments))).decode()


class Driven:
    """A program made of `driver.cc` and the library's objects, under an emulator, say.

    It reads calls from its input: a name, whether the result is text, and the arguments; it writes the result and all
    arrays back.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self.program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def close(self) -> None:
        self.program.communicate()

    def call(self, name: str, *arguments: Argument) -> int:
        return int(struct.unpack("<i", self._call(name, False, arguments))[0])

    def text(self, name: str, *arguments: Argument) -> str:
        return self._call(name, True, arguments).decode()

    def _call(self, name: str, text: bool, arguments: Sequence[Argument]) -> bytes:
        parts = [_block(name.encode()), struct.pack("<ii", text, len(arguments))]
        for argument in arguments:
            if isinstance(argument, int) or argument is None:
                parts.append(struct.pack("<qq", -1, argument or 0))
            else:
                # An array's end is followed by nothing, a text by its zero.
                data = argument + b"\0" if isinstance(argument, bytes) else _contiguous(argument).tobytes()
                parts.append(_block(data))
        assert self.program.stdin is not None
        self.program.stdin.write(b"".join(parts))
        self.program.stdin.flush()
        if not struct.unpack("<q", self._read(8))[0]:
            raise AttributeError(name)
        result = self._read(struct.unpack("<q", self._read(8))[0])
        for argument in arguments:
            if isinstance(argument, np.ndarray):
                data = self._read(argument.nbytes)
                if argument.flags.writeable:
                    argument[...] = np.frombuffer(data, argument.dtype).reshape(argument.shape)
            elif isinstance(argument, bytes):
                self._read(len(argument) + 1)
        return result

    def _read(self, size: int) -> bytes:
        assert self.program.stdout is not None
        data = self.program.stdout.read(size)
        if len(data) < size:
            raise RuntimeError(f"the program ended with status {self.program.wait()}")
        return data


def build_for_tests(*sanitizers: str, platform: Platform | None = None, sources: Path = SOURCES) -> Build:
    """The build with exports for tests, for this machine or another; skips the test where it cannot be made."""
    platform = platform or native()
    if platform is None:
        pytest.skip("there are no native kernels for this platform")
    compiler = find_compiler(platform)
    if compiler is None:
        pytest.skip(f"no compiler for {platform.name}")
    return Build(platform, compiler, sources=sources, testing=True, sanitizers=sanitizers)


def _block(data: bytes) -> bytes:
    return struct.pack("<q", len(data)) + data


def _contiguous(array: np.ndarray) -> np.ndarray:
    assert array.flags.c_contiguous, "kernels take arrays without gaps"
    return array


def _ctypes(argument: Argument) -> object:
    if isinstance(argument, np.ndarray):
        return ctypes.c_void_p(_contiguous(argument).ctypes.data)
    return ctypes.c_int64(argument) if isinstance(argument, int) else argument
