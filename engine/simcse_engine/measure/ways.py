"""The two ways in which an artifact may run on a CPU: in our kernels, and in the runtime's operators."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from ..session.kernels import without_kernels

if TYPE_CHECKING:
    from ..encoder import Encoder


@contextlib.contextmanager
def both_ways(opening: Callable[[], "AbstractContextManager[Encoder]"]) -> "Iterator[list[Encoder]]":
    """The encoder that ``opening`` opens and, where that one runs in our kernels, another in the runtime's operators.

    Whoever has the artifact runs it either way, so either must be right.
    """
    with contextlib.ExitStack() as stack:
        encoders = [stack.enter_context(opening())]
        if encoders[0].kernels is not None:
            with without_kernels():
                encoders.append(stack.enter_context(opening()))
        yield encoders


def way(encoder: "Encoder") -> str:
    """The name of the way in which an encoder runs: a value of SIMCSE_KERNELS."""
    return encoder.kernels or "none"
