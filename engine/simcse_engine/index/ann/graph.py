"""The ANN graph over the rows of a vector file.

The graph is derived from the vectors, and only proposes candidates. It may lack rows, or hold dead ones: its callers
deal with that. So it is saved only from time to time, and dropped whenever a saved one is in doubt
(docs/decisions/019-ann-graph.md).
"""

import contextlib
import errno
import mmap
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ...errors import IndexDamagedError, InputValueError
from ...files.atomic import whole_file
from ...files.refusals import unwritable, write_refusal
from ...machine.cpu import usable_cpus
from ..storage.regular import open_regular
from .layout import Layout, LayoutError, Nodes
from .lent import LentGraphs
from .saved import SavedGraph, pieces_of
from .scheme import Scheme, quantized, scale_for
from .usearch import LibraryGraph
from .walk import GraphWalk

# Rows that are added in one turn.
_ADD_ROWS = 1024
# One thread adds this many first. In a small graph, vectors that are added in parallel are each other's nearest, but do
# not see each other, and later ones are linked to a disconnected beginning.
_ALONE_ROWS = 2048
# Every added vector is searched for, to find the strays: first with few candidates, and with more only if that misses
# it. With many at once, a graph takes longer to build.
_QUICK_EXPANSION = 8
_SELF_CANDIDATES = 20
# A search looks into the saved graph rather than wait if that lacks no more rows than this, which are compared.
_TAIL_ROWS = 16_384
# Candidates of a search; the kernels take no more.
_MOST_CANDIDATES = 1 << 24


class AnnGraph:
    """An ANN graph in memory, or mapped from a file.

    >>> graph = AnnGraph(Scheme(dimension=384, dtype="i8"))
    >>> graph.add(np.arange(len(vectors)), vectors, covered=len(vectors), threads=2)
    >>> graph.search(vectors[:1], 3, threads=1)
    (array([[   0, 1057,  889]]), 2000)

    May be used from many threads. Searches run side by side in what was opened or saved last. What has grown since is
    in memory, where they and the writer take turns: so they look into what was saved as long as it lacks little.

    Attributes:
        scheme: how it is built and searched.
        covered: it covers the rows below this; those that were dead when it was built are not in it.
        saved_covered: what `covered` was in the saved graph that the database records; see `saved_as`.
        tried_covered: what `covered` was when its owner last tried to save it.
        strays: the few rows in it that its links do not lead to; a search scans them. They come from threads that add
            neighbours of each other at the same moment.
    """

    def __init__(self, scheme: Scheme) -> None:
        self.scheme = scheme
        self.covered = 0
        self.saved_covered = self.tried_covered = 0
        self.strays: NDArray[np.int64] = np.empty(0, np.int64)
        self._members = 0
        self._scale: float | None = None
        self._saved: LentGraphs | None = None
        # In memory; None until something is added.
        self._grown: LibraryGraph | None = None
        self._turn = threading.Lock()
        # Whether the turn is the writer's, and takes long.
        self._growing = False

    def __len__(self) -> int:
        return self._members

    @classmethod
    def open(cls, folder: Path, saved: SavedGraph, scheme: Scheme, *, threads: int) -> Self:
        """Map a saved graph into memory, after its content has been checked.

        IndexDamagedError if it is another's. A search that finds it altered later raises that too.
        """
        path = folder / saved.file
        content = _mapped(path)
        nodes = _checked(path, content, saved, scheme, threads)
        opened = cls(scheme)
        opened.covered = opened.saved_covered = saved.covered
        opened.strays, opened._scale, opened._members = np.array(saved.strays, np.int64), saved.scale, saved.members
        opened._saved = LentGraphs(path, content, saved, nodes, scheme, most=usable_cpus())
        with opened._saved.lent():  # where USearch refuses it, now
            return opened

    def add(self, rows: NDArray[np.int64], vectors: NDArray[np.float32], *, covered: int, threads: int) -> None:
        """Add rows that are not in it, with their vectors; from then on it covers the rows below ``covered``.

        IndexDamagedError as `load` raises.
        """
        self.load(threads=threads)
        with self._taking_turn():
            graph = self._in_memory()
            if not self._members:
                self._scale = scale_for(vectors, self.scheme)
        for start in range(0, len(rows), _ADD_ROWS):
            part = slice(start, start + _ADD_ROWS)
            stored = quantized(vectors[part], self.scheme, self._scale)
            with self._taking_turn():
                alone = threads == 1 or len(graph) < _ALONE_ROWS
                graph.add(rows[part], stored, threads=1 if alone else threads)
                if not alone:
                    self.strays = np.concatenate([self.strays, self._unreached(rows[part], stored, threads)])
                self._members = len(graph)
        with self._taking_turn():
            self.covered = covered

    def load(self, *, threads: int) -> None:
        """Copy what was opened into memory, where it can grow.

        IndexDamagedError if it is not what it was, or USearch refuses it.
        """
        with self._taking_turn():
            saved = self._saved
            if self._grown is None and saved is not None:
                graph = LibraryGraph(self.scheme)
                # Again: whoever may write the file may have done so since, and the copy would be saved as ours.
                _checked(saved.path, saved.content, saved.record, self.scheme, threads)
                graph.load(saved.content, str(saved.path))
                self._grown = graph

    def _in_memory(self) -> LibraryGraph:
        """The graph that grows, once it is loaded."""
        if self._grown is None:
            self._grown = LibraryGraph(self.scheme)
        return self._grown

    def _unreached(self, rows: NDArray[np.int64], stored: NDArray[Any], threads: int) -> NDArray[np.int64]:
        """Those of the rows just added that a search for themselves does not find."""
        graph = self._in_memory()
        missed = graph.missed(rows, stored, expansion=_QUICK_EXPANSION, count=_QUICK_EXPANSION, threads=threads)
        again, expansion = rows[missed], self.scheme.expansion_search
        missed[missed] = graph.missed(
            again, stored[missed], expansion=expansion, count=_SELF_CANDIDATES, threads=threads
        )
        strays: NDArray[np.int64] = rows[missed]
        return strays

    def search(self, queries: NDArray[np.float32], count: int, *, threads: int) -> tuple[NDArray[np.int64], int]:
        """Find up to ``count`` rows near each query.

        Returns:
            int64 [n, m] with m ≤ count, nearest first as the graph sees it, -1 where it found fewer; and below which
            row all were looked at: `covered` at that moment, or `saved_covered`.
        """
        with self._lent() as (graph, covered):
            count = min(count, len(graph), _MOST_CANDIDATES)
            if count == 0:
                return np.empty((len(queries), 0), np.int64), covered
            return graph.search(quantized(queries, self.scheme, self._scale), count, threads=threads), covered

    @contextlib.contextmanager
    def _lent(self) -> Iterator[tuple[LibraryGraph | GraphWalk, int]]:
        """Lend a graph to a search, and say which rows it covers."""
        saved = self._saved
        if saved is not None and (self._grown is None or self._looks_into(saved)):
            with saved.lent() as graph:
                yield graph, saved.covered
            return
        # By `with` alone: Ctrl-C between a call that takes the turn and what gives it back would keep it for ever.
        with self._turn:
            yield self._in_memory(), self.covered

    def _looks_into(self, saved: LentGraphs) -> bool:
        """Whether a search looks into what was saved, not into what has grown since: where it need not wait for a turn.

        And where our kernels walk it, which is quicker than both USearch's search and what lacks are compared in.
        """
        busy, lacks = self._turn.locked(), self.covered - saved.covered
        return (busy and self._growing) or (lacks <= _TAIL_ROWS and (busy or saved.walks))

    @contextlib.contextmanager
    def _taking_turn(self) -> Iterator[None]:
        """Keep searches from the graph in memory, as it changes or is written."""
        with self._turn:
            self._growing = True
            try:
                yield
            finally:
                self._growing = False

    def save(self, folder: Path, name: str, *, threads: int) -> SavedGraph:
        """Write the graph into ``folder``; the file is there whole or not at all. Once it counts, call `saved_as`."""
        with self.saving(folder, name, threads=threads) as saved:
            return saved

    @contextlib.contextmanager
    def saving(self, folder: Path, name: str, *, threads: int) -> Iterator[SavedGraph]:
        """As `save`, but yield the record; the file is there when the block ends."""
        self.load(threads=threads)
        with whole_file(folder / name) as path:
            with self._taking_turn():
                try:
                    self._in_memory().save(path)
                except RuntimeError as error:
                    # USearch says "Failed to write" whatever the system answered.
                    refusal = write_refusal(path) or OSError(errno.EIO, os.strerror(errno.EIO))
                    raise unwritable(folder / name, refusal) from error
                covered, members, strays = self.covered, self._members, tuple(self.strays.tolist())
            yield SavedGraph(
                file=name,
                size_bytes=path.stat().st_size,
                # Windows renames no file that is mapped: the map goes with the expression.
                pieces=pieces_of(_mapped(path), threads),
                covered=covered,
                members=members,
                strays=strays,
                scale=self._scale,
            )

    def saved_as(self, folder: Path, saved: SavedGraph) -> None:
        """Take note that ``saved``, of this graph, is what the database records now; searches may look into it."""
        self.saved_covered = saved.covered
        # Searches go on without it; a wrong value of SIMCSE_KERNELS is theirs to tell.
        with contextlib.suppress(OSError, MemoryError, InputValueError, IndexDamagedError, LayoutError):
            path = folder / saved.file
            content = _mapped(path)
            nodes = _layout_of(saved, self.scheme).nodes(content)
            self._saved = LentGraphs(path, content, saved, nodes, self.scheme, most=usable_cpus())


def _checked(path: Path, content: memoryview, saved: SavedGraph, scheme: Scheme, threads: int) -> Nodes:
    """The nodes of ``content``, of the file at ``path``; IndexDamagedError unless it is what was saved.

    USearch itself checks little: it may crash on other content, and takes over whatever dtype and dimension a file
    states. So its digests are compared, and since whoever alters the database can alter them too, its layout.
    """
    if not saved.is_of(content, threads):
        raise IndexDamagedError(f"{path}: is not the graph that was saved (its digest differs)")
    try:
        return _layout_of(saved, scheme).check(content)
    except LayoutError as error:
        raise IndexDamagedError(f"{path}: is no graph of this index ({error})") from error


def _layout_of(saved: SavedGraph, scheme: Scheme) -> Layout:
    """The layout of the file of a saved graph."""
    *kinds, dimension = LibraryGraph(scheme).head
    return Layout(
        head=(*kinds, saved.members, 0, dimension, False),
        vector_bytes=scheme.vector_bytes,
        connectivity=scheme.connectivity,
        keys=saved.covered,
    )


def _mapped(path: Path) -> memoryview:
    """The content of a file, mapped into memory."""
    with os.fdopen(open_regular(path), "rb") as file:
        if os.fstat(file.fileno()).st_size == 0:  # which cannot be mapped
            return memoryview(b"")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
