"""The approximate half of search: a USearch graph over rows of the vector file; the one reader of `usearch`.

The graph is derived. It is asked for candidates alone, whose scores are computed from the vectors themselves, and it
may lack rows, or hold rows that are gone: whoever asks sorts that out. So it is saved now and then, and thrown away
whenever anything about a saved one is in doubt.
"""

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from ...errors import IndexDamagedError
from ...files.atomic import whole_file
from .saved import SavedGraph, checksums
from .scheme import Scheme, quantized

if TYPE_CHECKING:
    from usearch.index import Index as _USearch

# Added at once under the lock, between two searches of other threads.
_ADD_ROWS = 1024
# The first ones are added by one thread: where few are there, vectors that are added side by side are each other's
# nearest, neither sees the other, and what comes later is linked to a torn beginning.
_ALONE = 2048
# A vector that was added is searched for with so few candidates, and with all of them only if that misses it, which is
# one in hundreds: with all of them at once, a graph takes longer to build (`benchmarks/choices/graph.py`).
_QUICK_EXPANSION = 8
_SELF_CANDIDATES = 20
_EQUAL = 1e-3


class AnnGraph:
    """A graph in memory, or mapped from a file.

    >>> graph = AnnGraph(Scheme(dimension=384, dtype="f16"))
    >>> graph.add(np.arange(len(vectors)), vectors, covered=len(vectors), threads=2)
    >>> graph.search(vectors[:1], 3, threads=1)
    array([[   0, 1057,  889]])

    May be used from many threads; they take turns, each with all the threads of its call: USearch lends the same
    working memory to concurrent calls from outside.

    Attributes:
        covered: rows below this are in it, but those that were gone when it was built.
        saved_covered: what `covered` was when it was saved or opened.
        strays: rows in it that its links do not lead to, a few in ten thousand; whoever searches scans them. Threads
            that add neighbours of each other at the same moment leave them behind; one thread leaves none.
    """

    def __init__(self, scheme: Scheme) -> None:
        self.scheme = scheme
        self.covered = 0
        self.saved_covered = 0
        self.strays: NDArray[np.int64] = np.empty(0, np.int64)
        self._path: Path | None = None
        self._turn = threading.Lock()
        self._graph = _new(scheme)

    def __len__(self) -> int:
        return len(self._graph)

    @classmethod
    def open(cls, folder: Path, saved: SavedGraph, scheme: Scheme, *, threads: int) -> Self:
        """Map a saved graph into memory, once its content is known to be what was saved.

        Raises:
            FileNotFoundError: it is not there.
            IndexDamagedError: it is not what was saved, or not a graph of this scheme. USearch itself checks little:
                on other content it may crash, and whatever dtype and dimension a file states it takes over.
        """
        path = folder / saved.file
        found = checksums(path, threads)
        if found != (saved.size_bytes, saved.pieces):
            raise IndexDamagedError(f"{path}: is not the graph that was saved (its checksum differs)")
        opened = cls(scheme)
        opened._check_facts(path, saved)
        opened._graph.view(path)
        if len(opened._graph) != saved.members:
            raise IndexDamagedError(f"{path}: holds {len(opened._graph)} vectors, {saved.members} were saved")
        opened._path, opened.covered, opened.saved_covered = path, saved.covered, saved.covered
        opened.strays = np.array(saved.strays, np.int64)
        return opened

    def _check_facts(self, path: Path, saved: SavedGraph) -> None:
        from usearch.index import Index

        try:
            facts: dict[str, Any] = Index.metadata(path) or {}
        except (RuntimeError, ValueError) as error:
            raise IndexDamagedError(f"{path}: is no graph ({error})") from error
        graph = self._graph
        wanted = {
            **{"dimensions": graph.ndim, "kind_scalar": graph.dtype, "kind_metric": graph.metric_kind},
            **{"count_present": saved.members, "count_deleted": 0},
        }
        found = {name: facts.get(name) for name in wanted}
        if found != wanted:
            raise IndexDamagedError(f"{path}: is a graph with {found}; wanted is {wanted}")

    def add(self, rows: NDArray[np.int64], vectors: NDArray[np.float32], *, covered: int, threads: int) -> None:
        """Add rows that are not in it.

        Args:
            rows: int64 [n], their numbers.
            vectors: float32 [n, dimension].
            covered: from now on, rows below this need no other look.
            threads: how many to use.
        """
        with self._turn:
            if self._path is not None:
                # A mapped graph cannot grow, and would crash.
                graph = _new(self.scheme)
                graph.load(self._path)
                self._graph, self._path = graph, None
        for start in range(0, len(rows), _ADD_ROWS):
            part = slice(start, start + _ADD_ROWS)
            keys, kept = rows[part].astype(np.uint64), quantized(vectors[part], self.scheme)
            with self._turn:
                few = len(self._graph) < _ALONE
                self._graph.add(keys, kept, threads=1 if few else threads)
                if not few and threads > 1:
                    self.strays = np.concatenate([self.strays, self._unreached(rows[part], kept, threads)])
        with self._turn:
            self.covered = covered

    def _unreached(self, rows: NDArray[np.int64], kept: NDArray[Any], threads: int) -> NDArray[np.int64]:
        """Those of the rows just added that a search for themselves does not find."""
        # Any: USearch defines its setters where type checkers do not find them.
        graph: Any = self._graph
        graph.expansion_search = _QUICK_EXPANSION
        try:
            missed = _missed(graph, rows, kept, min(_QUICK_EXPANSION, len(graph)), threads)
        finally:
            graph.expansion_search = self.scheme.expansion_search
        missed[missed] = _missed(graph, rows[missed], kept[missed], min(_SELF_CANDIDATES, len(graph)), threads)
        strays: NDArray[np.int64] = rows[missed]
        return strays

    def search(self, queries: NDArray[np.float32], count: int, *, threads: int) -> tuple[NDArray[np.int64], int]:
        """Find rows near each query.

        Args:
            queries: float32 [n, dimension].
            count: how many to find.
            threads: how many to use.

        Returns:
            int64 [n, m] with m ≤ count, nearest first as the graph sees it, -1 where it found fewer; and `covered` as
            it was meanwhile.
        """
        from usearch.index import BatchMatches

        kept = quantized(queries, self.scheme)
        with self._turn:
            members, covered = len(self._graph), self.covered
            count = min(count, members)
            if count == 0:
                return np.empty((len(queries), 0), np.int64), covered
            found = self._graph.search(kept, count, threads=min(threads, len(queries)))
        if isinstance(found, BatchMatches):
            rows = found.keys.astype(np.int64)
            # The rest of a short result is filled with what may be keys.
            rows[np.arange(count) >= found.counts.reshape(-1, 1)] = -1
        else:  # what one query gives is of another type
            rows = np.full((1, count), -1, np.int64)
            rows[0, : len(found)] = found.keys
        return rows, covered

    def save(self, folder: Path, name: str, *, threads: int) -> SavedGraph:
        """Write the graph into ``folder``; the file is there whole or not at all.

        Raises:
            OutputError: the disk is full, or the folder cannot be written.
        """
        with self._turn, whole_file(folder / name) as path:
            _save(self._graph, path)
            size_bytes, pieces = checksums(path, threads)
            covered, members = self.covered, len(self._graph)
            self.saved_covered = covered
            strays = tuple(self.strays.tolist())
        return SavedGraph(
            file=name, size_bytes=size_bytes, pieces=pieces, covered=covered, members=members, strays=strays
        )


def _missed(
    graph: "_USearch", rows: NDArray[np.int64], kept: NDArray[Any], count: int, threads: int
) -> NDArray[np.bool_]:
    """Which rows are not among the ``count`` that a search for themselves finds: bool [rows]."""
    if not len(rows):
        return np.empty(0, np.bool_)
    found = graph.search(kept, count, threads=min(threads, len(rows)))
    keys, distances = found.keys.reshape(len(rows), -1), found.distances.reshape(len(rows), -1)
    # Where all that is found is equal to what was searched for, whoever has more equals counts as reached.
    missed: NDArray[np.bool_] = ~(keys == rows[:, None].astype(np.uint64)).any(axis=1)
    missed &= distances.max(axis=1) > _EQUAL
    return missed


def _new(scheme: Scheme) -> "_USearch":
    # Imported here: it takes a tenth of a second, which nobody shall pay who has no graph.
    from usearch.compiled import MetricKind, ScalarKind
    from usearch.index import Index

    kind = {"f32": "F32", "f16": "F16", "bf16": "BF16", "i8": "I8", "b1": "B1"}[scheme.dtype]
    binary = scheme.dtype == "b1"
    # Of unit vectors the inner product is the cosine, in less time: `Cos` measures both lengths at every comparison
    # (`benchmarks/choices/graph.py`). Those of i8 are of no one length.
    metric = MetricKind.Hamming if binary else MetricKind.Cos if scheme.dtype == "i8" else MetricKind.IP
    graph = Index(
        ndim=-(-scheme.dimension // 8) * 8 if binary else scheme.dimension,
        metric=metric,
        dtype=getattr(ScalarKind, kind),
        connectivity=scheme.connectivity,
        expansion_add=scheme.expansion_add,
        expansion_search=scheme.expansion_search,
        # Rows are never looked up in it, nor removed: a removal would have to be guarded against later additions.
        enable_key_lookups=False,
    )
    if graph.dtype != getattr(ScalarKind, kind):
        raise RuntimeError(f"asked USearch for {kind}, got {graph.dtype}")
    return graph


def _save(graph: "_USearch", path: Path) -> None:
    try:
        graph.save(path)
    except RuntimeError as error:
        # USearch says "Failed to write" for a full disk as for all else; whole_file knows what to make of this.
        raise OSError(28, "No space left on device", str(path)) from error
