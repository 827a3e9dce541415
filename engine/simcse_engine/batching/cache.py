"""VectorCache: the vectors of texts that were encoded lately. Exact, since a text's vector depends on nothing else."""

import threading
from collections import OrderedDict
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Of an entry beside text and vector: the tuple, the array's and the table's own bytes, measured with tracemalloc.
_ENTRY_BYTES = 360


class Known(NamedTuple):
    """What the cache knows of a text."""

    vector: NDArray[np.float32]  # [dimension]
    tokens: int
    cut: bool


class VectorCache:
    """Vectors by text, the least recently used dropped first, in at most ``max_bytes``; safe for threads."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self.hits = 0
        self.misses = 0
        self._entries: OrderedDict[str, Known] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, text: str) -> Known | None:
        """What is known of a text."""
        with self._lock:
            known = self._entries.get(text)
            if known is None:
                self.misses += 1
                return None
            self.hits += 1
            self._entries.move_to_end(text)
            return known

    def put(self, text: str, vector: NDArray[np.float32], tokens: int, cut: bool) -> None:
        """Remember a text's vector, of which a copy is kept."""
        size = self._size(text, vector)
        if size > self.max_bytes:
            return
        with self._lock:
            if text in self._entries:
                return
            self._entries[text] = Known(vector.copy(), tokens, cut)
            self.bytes += size
            while self.bytes > self.max_bytes:
                dropped, known = self._entries.popitem(last=False)
                self.bytes -= self._size(dropped, known.vector)

    @staticmethod
    def _size(text: str, vector: NDArray[np.float32]) -> int:
        return _ENTRY_BYTES + len(text) * (1 if text.isascii() else 4) + vector.nbytes
