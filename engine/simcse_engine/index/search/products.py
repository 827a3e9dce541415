"""Products of queries with rows, by NumKong; the one file that imports `numkong`.

NumPy's own products go to a BLAS whose threads, once started, keep a processor busy for some milliseconds after each
product, where the index's own threads and other searches need it.
"""

import functools
from types import ModuleType

import numpy as np
from numpy.typing import NDArray


class PackedQueries:
    """Queries, float32 [n, dimension], in the order in which the processor multiplies them.

    >>> PackedQueries(np.array([[1, -2]], np.float32)).products(np.array([[3, 4], [5, 6]], np.float32))
    array([[-5.],
           [-7.]])
    """

    def __init__(self, queries: NDArray[np.float32]) -> None:
        self._packed = _numkong().dots_pack(np.ascontiguousarray(queries))

    def products(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """The inner products of rows, [rows, dimension], with each query: [rows, n], right to what float32 is."""
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
