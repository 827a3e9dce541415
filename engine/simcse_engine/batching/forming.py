"""Forming: vectors in another form, without holding up an event loop."""

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

# So many floats get another form within a millisecond or two; more do so on a thread.
_FLOATS_ON_LOOP = 1 << 18


async def in_form(apply: Callable[[NDArray[np.float32]], NDArray[Any]], vectors: NDArray[np.float32]) -> NDArray[Any]:
    """What ``apply``, such as `VectorForm.apply`, makes of vectors [n, d]."""
    if vectors.size <= _FLOATS_ON_LOOP:
        return apply(vectors)
    return await asyncio.get_running_loop().run_in_executor(None, apply, vectors)
