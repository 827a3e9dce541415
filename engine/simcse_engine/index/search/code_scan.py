"""A scan by codes: exact, since codes only decide which rows are compared by their vectors."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .codes import Coded, CodedQueries
from .kernels import SearchKernels
from .pairs import Pairs, joined


def scan_codes(
    kernels: SearchKernels,
    parts: Sequence[Coded],
    queries: NDArray[np.float32],
    k: int,
    *,
    eligible: NDArray[np.bool_],
    threads: int,
) -> Pairs | None:
    """The rows that may be among the k nearest, of the coded ones that are ``eligible``, bool [all rows].

    None where codes cannot tell the vectors apart, so that it is quicker to compare these.
    """
    floors = np.full(len(queries), -2, np.float32)
    asked = CodedQueries(parts[0], queries)
    found: list[Pairs] = []
    for coded in parts:
        own = np.zeros(len(coded.codes), np.bool_)
        there = eligible[coded.start : coded.start + len(own)]
        own[: len(there)] = there
        pairs = kernels.scan(coded, asked, k, eligible=own, floors=floors, threads=threads)
        if pairs is not None:
            found.append(Pairs(*pairs))
        elif len(coded.scales) == 1:
            # The last rows may be like each other, and are few enough to be compared all.
            rows = np.flatnonzero(own) + coded.start
            found.append(Pairs(np.repeat(np.arange(len(queries)), len(rows)), np.tile(rows, len(queries))))
        else:
            return None
    return joined(found)
