"""The ANN graph over the rows of a vector file, with USearch; the one file that imports `usearch`.

The graph is derived from the vectors, and only proposes candidates. It may lack rows, or hold dead ones: its callers
deal with that. So it is saved only from time to time, and dropped whenever a saved one is in doubt
(docs/decisions/019-ann-graph.md).
"""

import contextlib
import errno
import functools
import mmap
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from ...errors import IndexDamagedError
from ...files.atomic import whole_file
from ...files.refusals import unwritable, write_refusal
from ...machine.limits import check_threads
from ..storage.regular import open_regular
from .saved import SavedGraph, pieces_of
from .scheme import Scheme, quantized

if TYPE_CHECKING:
    from usearch.index import Index as _USearch

# Rows that are added under one lock, between two searches of other threads.
_ADD_ROWS = 1024
# One thread adds this many first. In a small graph, vectors that are added in parallel are each other's nearest, but do
# not see each other, and later ones are linked to a disconnected beginning.
_ALONE_ROWS = 2048
# Every added vector is searched for, to find the strays: first with few candidates, and with more only if that misses
# it. With many at once, a graph takes longer to build.
_QUICK_EXPANSION = 8
_SELF_CANDIDATES = 20
# Distances up to this count as equal.
_EQUAL = 1e-3


class AnnGraph:
    """An ANN graph in memory, or mapped from a file.

    >>> graph = AnnGraph(Scheme(dimension=384, dtype="f16"))
    >>> graph.add(np.arange(len(vectors)), vectors, covered=len(vectors), threads=2)
    >>> graph.search(vectors[:1], 3, threads=1)
    array([[   0, 1057,  889]])

    May be used from many threads. They take turns, each with all the threads of its call, as USearch lends the same
    working memory to concurrent calls.

    Attributes:
        scheme: how it is built and searched.
        covered: it covers the rows below this; those that were dead when it was built are not in it.
        saved_covered: what `covered` was when it was saved or opened.
        tried_covered: what `covered` was when its owner last tried to save it.
        strays: the few rows in it that its links do not lead to; a search scans them. They come from threads that add
            neighbours of each other at the same moment.
    """

    def __init__(self, scheme: Scheme) -> None:
        self.scheme = scheme
        self.covered = 0
        self.saved_covered = self.tried_covered = 0
        self.strays: NDArray[np.int64] = np.empty(0, np.int64)
        # What a graph that was opened lies in, until it grows.
        self._content: memoryview | None = None
        self._turn = threading.Lock()
        self._graph = _new(scheme)

    def __len__(self) -> int:
        return len(self._graph)

    @classmethod
    def open(cls, folder: Path, saved: SavedGraph, scheme: Scheme, *, threads: int) -> Self:
        """Map a saved graph into memory, after its content has been checked.

        USearch itself checks little: it may crash on other content, and takes over whatever dtype and dimension a file
        states. So its digests are compared, and since whoever alters the database can alter them too, its layout.
        """
        path = folder / saved.file
        content = _mapped(path)
        if not saved.is_of(content, threads):
            raise IndexDamagedError(f"{path}: is not the graph that was saved (its digest differs)")
        opened = cls(scheme)
        opened._check_layout(path, content, saved)
        with _translating_errors(str(path)):
            opened._graph.view(content)
        opened._content, opened.covered, opened.saved_covered = content, saved.covered, saved.covered
        opened.strays = np.array(saved.strays, np.int64)
        return opened

    def _check_layout(self, path: Path, content: memoryview, saved: SavedGraph) -> None:
        from usearch.compiled import ScalarKind

        # Imported lazily: an index without an ANN graph need not.
        from .layout import Layout, LayoutError

        # Any: type checkers take its metric for another's.
        graph: Any = self._graph
        kinds = [kind.value for kind in (graph.metric_kind, graph.dtype, ScalarKind.U64, ScalarKind.U32)]
        layout = Layout(
            head=(*kinds, saved.members, 0, graph.ndim, False),
            vector_bytes=self.scheme.vector_bytes,
            connectivity=self.scheme.connectivity,
            keys=saved.covered,
        )
        try:
            layout.check(content)
        except LayoutError as error:
            raise IndexDamagedError(f"{path}: is no graph of this index ({error})") from error

    def add(self, rows: NDArray[np.int64], vectors: NDArray[np.float32], *, covered: int, threads: int) -> None:
        """Add rows that are not in it, with their vectors; from then on it covers the rows below ``covered``."""
        with self._turn:
            if self._content is not None:
                # A mapped graph cannot grow, and would crash.
                graph = _new(self.scheme)
                with _translating_errors("the ANN graph"):
                    graph.load(self._content)
                self._graph, self._content = graph, None
        for start in range(0, len(rows), _ADD_ROWS):
            part = slice(start, start + _ADD_ROWS)
            keys, stored = rows[part].astype(np.uint64), quantized(vectors[part], self.scheme)
            with self._turn:
                alone = threads == 1 or len(self._graph) < _ALONE_ROWS
                with _translating_errors("the ANN graph"):
                    self._graph.add(keys, stored, threads=1 if alone else _started(threads))
                    if not alone:
                        self.strays = np.concatenate([self.strays, self._unreached(rows[part], stored, threads)])
        with self._turn:
            self.covered = covered

    def _unreached(self, rows: NDArray[np.int64], stored: NDArray[Any], threads: int) -> NDArray[np.int64]:
        """Those of the rows just added that a search for themselves does not find."""
        # Any: type checkers do not see USearch's setters.
        graph: Any = self._graph
        graph.expansion_search = _QUICK_EXPANSION
        try:
            missed = _missed(graph, rows, stored, min(_QUICK_EXPANSION, len(graph)), threads)
        finally:
            graph.expansion_search = self.scheme.expansion_search
        missed[missed] = _missed(graph, rows[missed], stored[missed], min(_SELF_CANDIDATES, len(graph)), threads)
        strays: NDArray[np.int64] = rows[missed]
        return strays

    def search(self, queries: NDArray[np.float32], count: int, *, threads: int) -> tuple[NDArray[np.int64], int]:
        """Find up to ``count`` rows near each query.

        Returns:
            int64 [n, m] with m ≤ count, nearest first as the graph sees it, -1 where it found fewer; and `covered` at
            that moment.
        """
        from usearch.index import BatchMatches

        stored = quantized(queries, self.scheme)
        with self._turn:
            members, covered = len(self._graph), self.covered
            count = min(count, members)
            if count == 0:
                return np.empty((len(queries), 0), np.int64), covered
            with _translating_errors("the ANN graph"):
                matches = self._graph.search(stored, count, threads=_started(min(threads, len(queries))))
        if isinstance(matches, BatchMatches):
            rows = matches.keys.astype(np.int64)
            # The rest of a short result is filled with numbers that look like keys.
            rows[np.arange(count) >= matches.counts.reshape(-1, 1)] = -1
        else:  # USearch's result for one query is of another type
            rows = np.full((1, count), -1, np.int64)
            rows[0, : len(matches)] = matches.keys
        return rows, covered

    def save(self, folder: Path, name: str, *, threads: int) -> SavedGraph:
        """Write the graph into ``folder``; the file is there whole or not at all."""
        with self.saving(folder, name, threads=threads) as saved:
            return saved

    @contextlib.contextmanager
    def saving(self, folder: Path, name: str, *, threads: int) -> Iterator[SavedGraph]:
        """Write the graph into ``folder`` and yield its record; the file is there when the block ends."""
        with whole_file(folder / name) as path:
            with self._turn:
                try:
                    self._graph.save(path)
                except RuntimeError as error:
                    # USearch says "Failed to write" whatever the system answered.
                    refusal = write_refusal(path) or OSError(errno.EIO, os.strerror(errno.EIO))
                    raise unwritable(folder / name, refusal) from error
                covered, members, strays = self.covered, len(self._graph), tuple(self.strays.tolist())
                self.saved_covered = covered
            yield SavedGraph(
                file=name,
                size_bytes=path.stat().st_size,
                # Windows renames no file that is mapped: the map goes with the expression.
                pieces=pieces_of(_mapped(path), threads),
                covered=covered,
                members=members,
                strays=strays,
            )


def _mapped(path: Path) -> memoryview:
    """The content of a file, mapped into memory."""
    with os.fdopen(open_regular(path), "rb") as file:
        if os.fstat(file.fileno()).st_size == 0:  # which cannot be mapped
            return memoryview(b"")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


@contextlib.contextmanager
def _translating_errors(what: str) -> Iterator[None]:
    """Turn USearch's errors into ours, and that which it makes of Ctrl-C into what it was."""
    try:
        yield
    except RuntimeError as error:
        if str(error) == "Operation has been terminated":
            raise KeyboardInterrupt from error
        raise IndexDamagedError(f"{what}: USearch refuses it ({error})") from error


def _missed(
    graph: "_USearch", rows: NDArray[np.int64], stored: NDArray[Any], count: int, threads: int
) -> NDArray[np.bool_]:
    """Which rows are not among the ``count`` that a search for themselves finds: bool [rows]."""
    if not len(rows):
        return np.empty(0, np.bool_)
    matches = graph.search(stored, count, threads=_started(min(threads, len(rows))))
    keys, distances = matches.keys.reshape(len(rows), -1), matches.distances.reshape(len(rows), -1)
    # If all matches equal the row itself, it counts as reached: it has more equals than fit.
    missed: NDArray[np.bool_] = ~(keys == rows[:, None].astype(np.uint64)).any(axis=1)
    missed &= distances.max(axis=1) > _EQUAL
    return missed


@functools.cache
def _started(threads: int) -> int:
    """So many threads, after a look whether they can be started: USearch ends the process where they cannot."""
    check_threads(threads)
    return threads


def _new(scheme: Scheme) -> "_USearch":
    # Imported lazily: it takes 0.1 s that an index without an ANN graph need not pay.
    from usearch.compiled import MetricKind, ScalarKind
    from usearch.index import Index

    kind = getattr(ScalarKind, scheme.dtype.upper())
    binary = scheme.dtype == "b1"
    # The inner product of unit vectors is their cosine, and quicker: `Cos` measures both lengths at every comparison.
    # Quantized to i8 they differ in length.
    metric = MetricKind.Hamming if binary else MetricKind.Cos if scheme.dtype == "i8" else MetricKind.IP
    graph = Index(
        ndim=-(-scheme.dimension // 8) * 8 if binary else scheme.dimension,
        metric=metric,
        dtype=kind,
        connectivity=scheme.connectivity,
        expansion_add=scheme.expansion_add,
        expansion_search=scheme.expansion_search,
        # Rows are never looked up in it, nor removed, which would have to be guarded against later additions.
        enable_key_lookups=False,
    )
    if graph.dtype != kind:
        raise RuntimeError(f"asked USearch for {kind}, got {graph.dtype}")
    return graph
