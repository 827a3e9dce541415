"""VectorCache: the vectors of texts that were encoded lately. Exact, since a text's vector depends on nothing else."""

import sys
import threading
from collections import OrderedDict
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Of an entry besides its text and its floats: the tuple, the array, two numbers, and its place in the table, also while
# that grows.
_ENTRY_BYTES = 420


class Known(NamedTuple):
    """What the cache knows of a text."""

    vector: NDArray[np.float32]  # [dimension]
    tokens: int
    cut: bool
    size: int  # in bytes, of all that is kept for the text


class VectorCache:
    """Vectors by text, the least recently used dropped first; safe for threads.

    Attributes:
        max_bytes: the most memory that it takes.
        bytes: the memory that it takes.
        hits: how many texts that were looked up it knew.
        misses: how many it did not know.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self.hits = 0
        self.misses = 0
        self._entries: OrderedDict[str, Known] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, text: str) -> Known | None:
        """What is known of a text; nobody may write to its vector."""
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
        text = str.__str__(text)  # NumPy's strings hold more than they say
        size = _ENTRY_BYTES + sys.getsizeof(text) + vector.nbytes
        if size > self.max_bytes:
            return
        with self._lock:
            if text in self._entries:
                return
            while self.bytes + size > self.max_bytes:
                self.bytes -= self._entries.popitem(last=False)[1].size
            self._entries[text] = Known(vector.copy(), tokens, cut, size)
            self.bytes += size
