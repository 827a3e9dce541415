"""USearch's graphs, in the words of this engine; the one file that imports `usearch`.

A graph has one working memory, which USearch lends to a call: its calls must not overlap.
"""

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import IndexDamagedError
from ...machine.limits import check_threads
from .scheme import Scheme

# Distances that differ by less are those of equal vectors.
_EQUAL = 1e-3


class LibraryGraph:
    """One graph of USearch; its callers take turns."""

    def __init__(self, scheme: Scheme) -> None:
        # Imported lazily: it takes 0.1 s that an index without an ANN graph need not pay.
        from usearch.compiled import MetricKind, ScalarKind
        from usearch.index import Index

        self._scheme = scheme
        kind = getattr(ScalarKind, scheme.dtype.upper())
        binary = scheme.dtype == "b1"
        # Any: type checkers do not see USearch's setters, and take its metric for another's.
        self._graph: Any = Index(
            ndim=-(-scheme.dimension // 8) * 8 if binary else scheme.dimension,
            # The inner product of unit vectors is their cosine, and quicker: `Cos` measures both lengths every time.
            metric=MetricKind.Hamming if binary else MetricKind.IP,
            dtype=kind,
            connectivity=scheme.connectivity,
            expansion_add=scheme.expansion_add,
            expansion_search=scheme.expansion_search,
            # Rows are never looked up in it, nor removed, which would have to be guarded against later additions.
            enable_key_lookups=False,
        )
        if self._graph.dtype != kind:
            raise RuntimeError(f"asked USearch for {kind}, got {self._graph.dtype}")

    def __len__(self) -> int:
        return len(self._graph)

    @property
    def head(self) -> tuple[int, ...]:
        """What a file of such a graph says first; see `layout.Layout`, but without how many vectors there are."""
        from usearch.compiled import ScalarKind

        graph = self._graph
        kinds = (graph.metric_kind, graph.dtype, ScalarKind.U64, ScalarKind.U32)
        return (*(kind.value for kind in kinds), graph.ndim)

    def view(self, content: memoryview, what: str) -> None:
        """Search in the content of a file, which must stay; from then on it cannot grow, and would crash."""
        with _translating_errors(what):
            self._graph.view(content)

    def load(self, content: memoryview, what: str) -> None:
        """Take over a copy of the content of a file."""
        with _translating_errors(what):
            self._graph.load(content)

    def save(self, path: Path) -> None:
        """Write it; RuntimeError, whatever the system answered."""
        self._graph.save(path)

    def add(self, rows: NDArray[np.int64], stored: NDArray[Any], *, threads: int) -> None:
        """Add `quantized` vectors as these rows."""
        with _translating_errors("the ANN graph"):
            self._graph.add(rows.astype(np.uint64), stored, threads=_started(threads))

    def search(self, stored: NDArray[Any], count: int, *, threads: int) -> NDArray[np.int64]:
        """The ``count`` nearest rows to each `quantized` query: int64 [n, count], -1 where it found fewer."""
        return self._matches(stored, count, threads)[0]

    def missed(
        self, rows: NDArray[np.int64], stored: NDArray[Any], *, expansion: int, count: int, threads: int
    ) -> NDArray[np.bool_]:
        """Which rows are not among the nearest that a search for themselves finds: bool [rows].

        Args:
            rows: int64 [n].
            stored: their `quantized` vectors.
            expansion: candidates to look at in this search.
            count: how many nearest to find.
            threads: to search with.
        """
        if not len(rows):
            return np.empty(0, np.bool_)
        self._graph.expansion_search = expansion
        try:
            found, distances = self._matches(stored, min(count, len(self)), threads)
        finally:
            self._graph.expansion_search = self._scheme.expansion_search
        missed: NDArray[np.bool_] = ~(found == rows[:, None]).any(axis=1)
        # A row with as many equals, or longer rounded vectors nearby, as were asked for counts as reached.
        own = 0.0
        if self._scheme.dtype == "i8":
            own = 1 - np.einsum("ij,ij->i", stored, stored, dtype=np.float32)
        missed &= distances.max(axis=1) > own + _EQUAL
        return missed

    def _matches(self, stored: NDArray[Any], count: int, threads: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        with _translating_errors("the ANN graph"):
            matches = self._graph.search(stored, count, threads=_started(min(threads, len(stored))))
        if matches.keys.ndim == 2:
            rows = matches.keys.astype(np.int64)
            # The rest of a short result is filled with numbers that look like keys.
            rows[np.arange(count) >= matches.counts.reshape(-1, 1)] = -1
        else:  # USearch's result for one query is of another type
            rows = np.full((1, count), -1, np.int64)
            rows[0, : len(matches)] = matches.keys
        return rows, matches.distances.reshape(len(stored), -1)


@contextlib.contextmanager
def _translating_errors(what: str) -> Iterator[None]:
    """Turn USearch's errors into ours, and that which it makes of Ctrl-C into what it was."""
    try:
        yield
    except RuntimeError as error:
        if str(error) == "Operation has been terminated":
            raise KeyboardInterrupt from error
        raise IndexDamagedError(f"{what}: USearch refuses it ({error})") from error


@functools.cache
def _started(threads: int) -> int:
    """So many threads, after a look whether they can be started: USearch ends the process where they cannot."""
    check_threads(threads)
    return threads
