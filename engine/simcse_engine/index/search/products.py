"""Products: exact integer inner products of int8 codes, by NumKong; the one file that imports `numkong`."""

import numpy as np
from numpy.typing import NDArray


class PackedQueries:
    """Codes of queries, int8 [n, dimension], in the order in which the processor multiplies them.

    >>> PackedQueries(np.array([[1, -2]], np.int8)).products(np.array([[3, 4], [5, 6]], np.int8))
    array([[-5],
           [-7]], dtype=int32)
    """

    def __init__(self, codes: NDArray[np.int8]) -> None:
        # Imported lazily: it takes 50 ms that a small index need not pay.
        import numkong

        # With SME, NumKong to 7.8.6 writes behind its buffers for more than 32 queries: seen under QEMU 10 with vectors
        # of 512 bits, those of Apple's M4. It holds for the process and changes nothing on other processors.
        numkong.disable_capability("sme")
        self._codes = np.ascontiguousarray(codes)
        self._packed = numkong.dots_pack(self._codes)

    def products(self, codes: NDArray[np.int8]) -> NDArray[np.int32]:
        """The inner products of rows' codes, int8 [rows, dimension], with each query's: int32 [rows, n]."""
        import numkong

        if len(self._codes) == 1:
            # Packed for one query alone, a product takes twice as long. NumKong's stubs leave whole numbers out.
            products = numkong.cdist(self._codes, codes, metric="dot", out_dtype="int32")  # type: ignore[arg-type]
            return np.asarray(products).reshape(-1, 1)
        return np.asarray(numkong.dots_packed(codes, self._packed))
