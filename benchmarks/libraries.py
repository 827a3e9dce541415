"""The native library, built as benchmarks need it: with counters of its steps' time, or with other constants."""

import ctypes
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcse_engine.artifact.manifest import GRAPH
from simcse_engine.machine.kernels import KernelLibrary, chosen_variant
from simcse_engine.session.graph import open_graph, settings
from simcse_engine.session.library import CPU

from .record import BENCH, ROOT

# No package's folder: the build is no part of what is installed.
sys.path.append(str(ROOT / "engine/kernels"))

from build_kernels.compilers import find_compiler
from build_kernels.library import SOURCES, Build
from build_kernels.platforms import native


@dataclass(frozen=True, kw_only=True)
class Library:
    """A build of the library, loaded into this process.

    Attributes:
        kernels: the library as the engine sees it.
        variant: that runs.
    """

    kernels: KernelLibrary
    variant: str

    def open(self, artifact: Path) -> "Graph":
        """The artifact's graph in this library's kernels."""
        chosen = settings(threads=1)
        self.kernels.register(self.variant, chosen)
        return Graph(self, open_graph(artifact / GRAPH, chosen, CPU, device="cpu"))


@dataclass(frozen=True)
class Graph:
    """A session in a library's kernels."""

    library: Library
    session: Any

    def run(self, ids: NDArray[np.int64], lengths: NDArray[np.int64], *, threads: int = 1) -> NDArray[np.float32]:
        """Vectors [sentences, dimension] of ids [tokens], on so many threads."""
        self.library.kernels.share_among(threads)
        return self.session.run(None, {"input_ids": ids, "lengths": lengths})[0]


class Clock:
    """The counters of a library with ``timing``."""

    def __init__(self, library: Library) -> None:
        functions = ctypes.PyDLL(str(library.kernels.path))
        functions.simcse_timing_steps.restype = ctypes.c_char_p
        self._steps = functions.simcse_timing_steps().decode().split(",")[:-1]
        self._ticks = np.zeros(len(self._steps), np.uint64)
        self._read = functions.simcse_timing_read
        self._pointer = self._ticks.ctypes.data_as(ctypes.c_void_p)

    def read(self) -> dict[str, int]:
        """Ticks of each step since the last reading; "outside" has those in none."""
        self._read(self._pointer)
        return dict(zip(self._steps, self._ticks.tolist(), strict=True))


def build(*, timing: bool = False, changes: Mapping[str, tuple[str, str]] | None = None, name: str = "") -> Library:
    """Build and load the library.

    Args:
        timing: with the counters that `Clock` reads.
        changes: by a source's name, a text that stands in it once, and what shall stand there instead.
        name: of a folder for the changed sources.

    Raises:
        SystemExit: no compiler, or no kernels for this machine.
    """
    platform = native()
    compiler = platform and find_compiler(platform)
    if platform is None or compiler is None:
        sys.exit("there are no kernels for this machine, or no compiler; pip install ziglang")
    sources = SOURCES
    if changes:
        sources = BENCH / "kernels" / name
        shutil.rmtree(sources, ignore_errors=True)
        shutil.copytree(SOURCES, sources, ignore=shutil.ignore_patterns("build_kernels", "__pycache__"))
        for file, (before, after) in changes.items():
            text = (sources / file).read_text(encoding="utf-8")
            if text.count(before) != 1:
                raise ValueError(f"{file} has {before!r} {text.count(before)} times")
            (sources / file).write_text(text.replace(before, after), encoding="utf-8")
    kernels = KernelLibrary(Build(platform, compiler, sources=sources, timing=timing).library())
    variant = chosen_variant(kernels)
    if variant is None:
        sys.exit("there are no tried kernels for this CPU; SIMCSE_KERNELS names one")
    return Library(kernels=kernels, variant=variant)
