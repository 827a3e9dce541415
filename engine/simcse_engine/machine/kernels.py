"""Our kernels: the library of them in this package, loaded, and which of its variants this process uses."""

import ctypes
import functools
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputValueError, ProviderError

if TYPE_CHECKING:
    import onnxruntime

VARIABLE = "SIMCSE_KERNELS"
NONE = "none"  # as its value: the runtime's operators
# All that there are: for x86-64, best first, then for Arm.
VARIANTS = ("amx", "avx512bf16", "avx512vnni", "avxvnni", "avx2", "i8mm", "dotprod")
# Their tests never ran on a CPU that has the instructions, so they run only where VARIABLE names them.
UNTRIED = frozenset({"i8mm", "dotprod"})
REINSTALL = "pip install --force-reinstall --no-deps simcse-engine, as a wheel or where ziglang or clang is"

LIBRARY = Path(__file__).parents[1] / "kernels" / f"libsimcse_kernels.{'dylib' if sys.platform == 'darwin' else 'so'}"
# What this package calls, and how (`simcse_kernels_interface`): with each change of an exported function, both rise.
_INTERFACE = 1
# What a CPU needs for the least of the variants.
LEAST_FEATURES = frozenset({"avx2", "dotprod"})


class KernelLibrary:
    """The library of kernels, loaded into this process for good.

    Attributes:
        path: its file.
        variants: those that it has and this CPU can run, best first.
    """

    def __init__(self, path: Path) -> None:
        """Load it; OSError or AttributeError where the file is no such library."""
        # Its functions take no time, and releasing Python's lock for them would cost a wait to take it again.
        library = ctypes.PyDLL(str(path))
        library.RegisterCustomOps  # noqa: B018 - the runtime calls it; here it must only be there
        if library.simcse_kernels_interface() != _INTERFACE:
            raise OSError("it was built for another version of this package")
        library.simcse_kernels_variants.restype = ctypes.c_char_p
        library.simcse_kernels_select.argtypes = [ctypes.c_char_p]
        library.simcse_kernels_threads.argtypes = [ctypes.c_int]
        library.simcse_kernels_threads.restype = None
        self._select = library.simcse_kernels_select
        self._threads = library.simcse_kernels_threads
        self.path = path
        names = (library.simcse_kernels_variants() or b"").decode("ascii", "replace").split(",")
        self.variants = tuple(name for name in names if name in VARIANTS)

    def register(self, variant: str, settings: "onnxruntime.SessionOptions") -> None:
        """Let the next session of these settings run ``variant``; once for each settings."""
        if self._select(variant.encode()) != 0:
            raise ProviderError(f"{self.path}: refuses the kernels {variant}; {VARIABLE}=none runs without any")
        try:
            settings.register_custom_ops_library(str(self.path))
        except Exception as error:  # onnxruntime's exceptions have no common base of their own
            raise ProviderError(
                f"{self.path}: onnxruntime takes no kernels from it ({error}); {VARIABLE}=none runs without any"
            ) from error

    def share_among(self, threads: int) -> None:
        """From now on, share each run that this thread starts among so many threads."""
        self._threads(threads)


@functools.cache
def load_library(path: Path = LIBRARY) -> KernelLibrary | str:
    """The library, or why it cannot be loaded."""
    if not path.is_file():
        return "this installation was built without them"
    try:
        return KernelLibrary(path)
    except (OSError, AttributeError) as error:
        return f"they cannot be loaded ({error})"


def chosen_variant(library: KernelLibrary | str) -> str | None:
    """The variant that SIMCSE_KERNELS names or, where it is not set, the best that was tried; None for none.

    ``library`` may be why there is none. Raises InputValueError where the variant that is named cannot run here.
    """
    wanted = os.environ.get(VARIABLE, "")
    variants = () if isinstance(library, str) else library.variants
    if wanted in ("", NONE):
        return next((name for name in variants if name not in UNTRIED and not wanted), None)
    if wanted in variants:
        return wanted
    problem = "there are no such kernels"
    if wanted in VARIANTS:
        problem = library if isinstance(library, str) else "this CPU cannot run them"
    raise InputValueError(f"{VARIABLE}={wanted:.40}: {problem}; possible here: {', '.join((*variants, NONE))}")
