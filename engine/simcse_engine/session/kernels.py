"""Which of our kernels run a graph, or why none does.

A graph in our operators runs without them too, in the runtime's (docs/decisions/026-native-kernels.md). So nothing here
keeps an artifact from being opened but a value of SIMCSE_KERNELS that cannot be heeded.
"""

import contextlib
import os
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from ..artifact.manifest import GRAPH
from ..artifact.opening import as_artifact_error
from ..artifact.operators import operators_version
from ..artifact.protobuf import UnreadableGraphError
from ..errors import IntegrityError
from ..machine.cpu import features
from ..machine.kernels import LEAST_FEATURES, NONE, REINSTALL, VARIABLE, chosen_variant, load_library

_OPERATORS = 2  # the version of our operators that the library has

_ALLOWED: ContextVar[bool] = ContextVar("kernels_allowed", default=True)


@dataclass(frozen=True, kw_only=True)
class Kernels:
    """Which of our kernels run a graph.

    Attributes:
        variant: one of `VARIANTS`; None where the runtime's operators do.
        reason: why none of ours run; empty where some do.
        avoidable: whether this CPU could run them, and nobody asked for less.
    """

    variant: str | None = None
    reason: str = ""
    avoidable: bool = False


# On devices other than CPUs, and where nobody chose.
NO_KERNELS = Kernels(reason="they are for CPUs")


def kernels_for(artifact: Path, device: str) -> Kernels:
    """Which kernels run the graph of the artifact in the folder ``artifact`` on ``device``, in this process.

    Raises:
        ArtifactError: the graph cannot be read.
        InputValueError: SIMCSE_KERNELS names no variant that can run here.
    """
    if device != "cpu":
        return NO_KERNELS
    if os.environ.get(VARIABLE, "") not in ("", NONE):
        chosen_variant(load_library())  # a wrong value is an error whatever the graph
    with as_artifact_error(artifact):
        graph = (artifact / GRAPH).read_bytes()
    try:
        version = operators_version(graph)
    except UnreadableGraphError as error:
        raise IntegrityError(f"{artifact / GRAPH}: is no ONNX graph ({error}); export again") from error
    if version is None:
        return Kernels(reason="its graph is not written in operators that they run")
    if os.environ.get(VARIABLE) == NONE:
        return Kernels(reason=f"{VARIABLE} is {NONE}")
    if not _ALLOWED.get():
        return Kernels(reason="it was opened without them")
    if version > _OPERATORS:
        return Kernels(reason="its graph is written for newer ones; upgrade simcse-engine", avoidable=True)
    library = load_library()
    if isinstance(library, str):
        if LEAST_FEATURES.isdisjoint(features()):
            return Kernels(reason="there are none for this CPU")
        return Kernels(reason=f"{library}; {REINSTALL}", avoidable=True)
    variant = chosen_variant(library)
    if variant is None and library.variants:
        untried = " or ".join(library.variants)
        return Kernels(reason=f"those for this CPU were not tried on one yet; {VARIABLE}={untried} runs them")
    return Kernels(variant=variant, reason="" if variant else "there are none for this CPU")


@contextlib.contextmanager
def without_kernels() -> Iterator[None]:
    """Let encoders that this thread opens meanwhile run in the runtime's operators, as where there is no library."""
    token = _ALLOWED.set(False)
    try:
        yield
    finally:
        _ALLOWED.reset(token)
