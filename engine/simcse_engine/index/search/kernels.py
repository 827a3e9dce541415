"""Our kernels' part of a search: a scan by codes, and cosines (`engine/kernels/search.cc`).

They run without Python's lock, so that searches of several threads go on side by side.
"""

import ctypes
import functools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...machine.kernels import KernelLibrary, chosen_variant, load_library
from .codes import Coded, CodedQueries

# More than this share of all rows may not be left by codes, of many queries together and of one alone: to compare a
# row by its vector takes as long as by so many codes. In the beginning, before the floor is high, so many times k are.
_SHARE_OF_MANY, _SHARE_OF_ONE, _ALWAYS_FACTOR = 1 / 64, 1 / 5, 32

_GIVEN_UP, _NO_MEMORY = 1, 2


class SearchKernels:
    """The functions of one variant."""

    def __init__(self, library: Path, variant: str) -> None:
        functions = ctypes.CDLL(str(library))
        self._variant = ctypes.c_char_p(variant.encode())
        self._scan, self._cosines = functions.simcse_search_codes, functions.simcse_search_cosines

    def scan(
        self,
        coded: Coded,
        queries: CodedQueries,
        k: int,
        *,
        eligible: NDArray[np.bool_],
        floors: NDArray[np.float32],
        threads: int,
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
        """Find all rows that may be among the k best of a query: pairs of a query and a row, int64 [n] each.

        Args:
            coded: the rows.
            queries: what is searched for.
            k: at least 1.
            eligible: bool [rows], which of them are searched.
            floors: float32 [queries], what each one's k-th best score is at least; it is raised.
            threads: how many share the scan, if no other has them.

        Returns:
            The pairs, those of a query side by side; None where so many are left that their vectors take longer.
        """
        count, always = len(queries.codes), _ALWAYS_FACTOR * k
        share = np.array([_SHARE_OF_MANY + _SHARE_OF_ONE / count], np.float32)
        # Untouched, it takes no memory.
        room = min(int(eligible.size * count * share[0]) + always * count, eligible.size * count)
        of_query, rows, found = np.empty(room, np.int64), np.empty(room, np.int64), np.zeros(1, np.int64)
        outcome = self._scan(
            *(self._variant, _number(threads), _pointer(coded.codes), _number(coded.codes.shape[1])),
            *(_number(len(coded.scales)), _number(len(coded.codes) // max(1, len(coded.scales)))),
            *(_pointer(eligible), _pointer(coded.scales), _pointer(coded.lengths), _pointer(coded.rests)),
            *(_pointer(queries.codes), _pointer(queries.scales), _pointer(queries.rests), _pointer(queries.offsets)),
            *(_pointer(floors), _number(count), _number(k), _pointer(share), _number(always)),
            *(_number(room), _pointer(of_query), _pointer(rows), _pointer(found)),
        )
        if outcome == _GIVEN_UP:
            return None
        if outcome == _NO_MEMORY:
            raise MemoryError(f"no memory to search for {count} queries at once")
        _expect_found(outcome)
        return of_query[: found[0]], rows[: found[0]] + coded.start

    def cosines(
        self,
        vectors: NDArray[np.float32],
        queries: NDArray[np.float32],
        rows: NDArray[np.int64],
        of_query: NDArray[np.int64],
        *,
        threads: int,
    ) -> NDArray[np.float32]:
        """The cosines of pairs, in float64 and rounded once: float32 [n].

        Args:
            vectors: float32 [rows, dimension], each one's numbers side by side.
            queries: float32 [m, dimension].
            rows: int64 [n], of the pairs.
            of_query: int64 [n], their queries.
            threads: how many share the work, if no other has them.
        """
        cosines = np.empty(len(rows), np.float32)
        queries, rows = np.ascontiguousarray(queries), np.ascontiguousarray(rows)
        of_query = np.ascontiguousarray(of_query)
        outcome = self._cosines(
            *(self._variant, _number(threads), _pointer(vectors), _number(vectors.strides[0] // vectors.itemsize)),
            *(_pointer(queries), _number(queries.shape[1]), _pointer(rows), _pointer(of_query)),
            *(_number(len(rows)), _pointer(cosines)),
        )
        _expect_found(outcome)
        return cosines


def _expect_found(outcome: int) -> None:
    if outcome:
        raise RuntimeError(f"the kernels do not know this variant ({outcome})")


_number = ctypes.c_int64


def _pointer(array: NDArray[Any]) -> Any:
    # NumPy's own way takes four times as long, but works for arrays that are read-only or empty, too.
    if array.flags.writeable and array.size:
        return ctypes.byref(ctypes.c_char.from_buffer(array.data))
    return ctypes.c_void_p(array.ctypes.data)


def search_kernels() -> SearchKernels | None:
    """Those of this process; None where there are none for this CPU, or SIMCSE_KERNELS allows none."""
    library = load_library()
    variant = chosen_variant(library)
    if variant is None or not isinstance(library, KernelLibrary):
        return None
    return _kernels(library.path, variant)


@functools.cache
def _kernels(library: Path, variant: str) -> SearchKernels:
    return SearchKernels(library, variant)
