"""The ways in which an artifact can run on this CPU: in each variant of our kernels, and in the runtime's operators."""

from simcse_engine.machine.kernels import NONE, KernelLibrary, load_library


def variants() -> tuple[str, ...]:
    """The variants of our kernels that run here, best first."""
    library = load_library()
    return library.variants if isinstance(library, KernelLibrary) else ()


WAYS = (*variants(), NONE)
