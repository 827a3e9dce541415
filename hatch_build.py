"""Compiles the native library while a wheel is built, and tags the wheel with its platform."""

import os
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).parent / "engine/kernels"))

from build_kernels.compilers import ZIGLANG, find_compiler
from build_kernels.library import PACKAGE, Build
from build_kernels.platforms import PLATFORMS, Platform, native

# "0": no library, a wheel for every platform. A platform's name: that platform's, or no wheel at all. Else this
# machine's, where there are kernels for it and a compiler.
WANTED = "SIMCSE_BUILD_KERNELS"


class KernelsHook(BuildHookInterface[Any]):
    """The library goes into a wheel from the build folder, and with an editable install into the package's folder."""

    def dependencies(self) -> list[str]:
        """The compiler that pip installs for the build, where none is here."""
        platform = _platform()
        return [ZIGLANG] if platform is not None and find_compiler(platform) is None else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the library, or say why there is none."""
        platform = _platform()
        if platform is None:
            self._without(f"{WANTED}=0" if os.environ.get(WANTED) == "0" else "there are none for this platform")
            return
        compiler = find_compiler(platform)
        if compiler is None:
            if os.environ.get(WANTED) == platform.name:
                raise RuntimeError(f"no compiler for {platform.name}; pip install '{ZIGLANG}'")
            self._without(f"no compiler; pip install '{ZIGLANG}', or clang 18 or newer")
            return
        build = Build(platform, compiler)
        if version == "editable":
            build.into(PACKAGE)
            return
        library = build.library()
        build_data["force_include"][str(library)] = f"simcse_engine/kernels/{platform.library}"
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform.portable if compiler.zig else platform.local}"

    def _without(self, reason: str) -> None:
        self.app.display_warning(
            f"simcse-engine is built without its native kernels: {reason}. "
            "It encodes the same texts through ONNX Runtime's own operators, more slowly."
        )


def _platform() -> Platform | None:
    wanted = os.environ.get(WANTED, "")
    if wanted == "0":
        return None
    if wanted in ("", "1"):
        return native()
    if wanted not in PLATFORMS:
        raise ValueError(f"{WANTED}={wanted}: expected 0, 1 or one of {', '.join(PLATFORMS)}")
    return PLATFORMS[wanted]
