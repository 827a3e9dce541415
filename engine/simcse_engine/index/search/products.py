"""Products of queries with rows, by NumKong; the one file that imports `numkong`.

NumPy's own products go to a BLAS whose threads, once started, keep a processor busy for some milliseconds after each
product, where the index's own threads and other searches need it.
"""

import functools
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray


class PackedQueries:
    """Queries, float32 [n, dimension], or their codes, int8, in the order in which the processor multiplies them.

    >>> PackedQueries(np.array([[1, -2]], np.int8)).products(np.array([[3, 4], [5, 6]], np.int8))
    array([[-5],
           [-7]], dtype=int32)
    """

    def __init__(self, queries: NDArray[np.float32] | NDArray[np.int8]) -> None:
        self._queries = np.ascontiguousarray(queries)
        self._packed = _numkong().dots_pack(self._queries)

    def products(self, rows: NDArray[np.float32] | NDArray[np.int8]) -> NDArray[Any]:
        """The inner products of rows, [rows, dimension], with each query: [rows, n].

        Those of codes are exact, int32. Those of floats are float64, and right to what float32 is.
        """
        if len(self._queries) == 1 and self._queries.dtype == np.int8:
            # Packed for one query alone, a product takes twice as long. The type asked of NumKong itself takes longer.
            products = np.asarray(_numkong().cdist(self._queries, rows, metric="dot"))
            return products.reshape(-1, 1).astype(np.int32)
        return np.asarray(_numkong().dots_packed(rows, self._packed))


@functools.cache
def _numkong() -> ModuleType:
    # Imported lazily: not every program that imports this package searches.
    import numkong

    # With SME, NumKong to 7.8.6 writes behind its buffers for more than 32 queries: seen under QEMU 10 with vectors
    # of 512 bits, those of Apple's M4. It holds for the process and changes nothing on other processors.
    for name in numkong.get_capabilities():
        if name.startswith("sme"):
            numkong.disable_capability(name)
    return numkong
