"""What keeps an index's files in shape: its graph built and saved, its dead dropped, leftovers removed.

Nothing here takes turns; the writer, whose lock and turn are held meanwhile, sees to that.
"""

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import IndexDamagedError
from ..files.atomic import as_output_error
from .ann.neighbours import Neighbours
from .ann.saved import Saved
from .ann.scheme import Scheme
from .search.snapshots import Snapshots, vector_file
from .search.view import SearchLimits, View
from .storage.records import State
from .storage.store import Store
from .storage.vectors import VectorWriter, create_vector_file


class Upkeep:
    """The upkeep of one index that is open for writing."""

    def __init__(
        self, folder: Path, store: Store, snapshots: Snapshots, scheme: Scheme, *, limits: SearchLimits, threads: int
    ) -> None:
        self._folder = folder
        self._store = store
        self._snapshots = snapshots
        self._scheme = scheme
        self._limits = limits
        self._threads = threads

    def absorb(self, least: int | None = None) -> None:
        """Add to the graph what it lacks: ``least`` vectors, or, with None, as many as the limits call much."""
        state = self._state()
        covered = self._snapshots.covered(state)
        if least is None:
            least = max(self._limits.absorb_rows, int(covered * self._limits.absorb_share))
        if state.rows - covered < least or (covered == 0 and state.rows - state.deaths <= self._limits.exact_rows):
            return
        with self._snapshots.looking() as (_, view):
            graph = view.graph
        if graph is not None and len(graph) > 2 * np.count_nonzero(view.alive[: graph.covered]):
            graph = None  # more than half of what it holds is dead
        covered = 0 if graph is None else graph.covered
        graph = graph or Neighbours(self._scheme)
        try:
            for first, last in spans(view.rows - covered, self._limits.window_texts):
                rows = np.flatnonzero(view.alive[covered + first : covered + last]) + covered + first
                graph.add(rows, view.vectors.take(rows), covered=covered + last, threads=self._threads)
        except BaseException:
            # What is in it and what is not can no longer be told.
            self._snapshots.adopt(None, view.state)
            raise
        self._snapshots.adopt(graph, view.state)

    def save_graph(self, least: int | None = None) -> None:
        """Save the graph if it has grown by ``least`` vectors since, or, with None, by as many as the limits say."""
        graph = self._snapshots.graph
        if graph is None:
            return
        if least is None:
            least = max(self._limits.absorb_rows, int(graph.saved_covered * self._limits.save_share))
        if graph.covered - graph.saved_covered < least:
            return
        state = self._state()
        record = graph.save(self._folder, _graph_file(state.generation), threads=self._threads)
        with self._store.writing() as change:
            change.remember_graph(state, record.to_json())
        self.remove_leftovers()

    def _state(self) -> State:
        with self._store.reading() as reader:
            return reader.state()

    def compact(self) -> None:
        """Write the living vectors into a new file, build a graph over it, and make both count in one transaction."""
        with self._snapshots.looking(graph=False) as (reader, view):
            rows = reader.live_rows()
        if not np.array_equal(rows, np.flatnonzero(view.alive)):
            # What a damaged database hides shall not be dropped for good.
            raise IndexDamagedError(f"{self._folder}: entries are missing from the database; restore a backup")
        generation = view.state.generation + 1
        graph = Neighbours(self._scheme) if len(rows) > self._limits.exact_rows else None
        with as_output_error(self._folder):
            for new, vectors in self._copy(view, rows, generation):
                if graph is not None:
                    graph.add(new, vectors, covered=int(new[-1]) + 1, threads=self._threads)
        saved = None
        if graph is not None:
            saved = graph.save(self._folder, _graph_file(generation), threads=self._threads).to_json()
        with self._store.writing() as change:
            change.renumber(view.state, generation, saved)
            state = change.state()
        self._snapshots.adopt(graph, state)
        self.remove_leftovers()
        self._store.shrink()

    def _copy(
        self, view: View, rows: NDArray[np.int64], generation: int
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Copy rows into the vector file of another generation, and yield them with their new numbers."""
        path = self._folder / vector_file(generation)
        about = self._store.about
        path.unlink(missing_ok=True)
        create_vector_file(path, dimension=about.dimension, generation=generation, name=bytes.fromhex(about.name))
        with contextlib.closing(VectorWriter(path, about.dimension)) as file:
            for first, last in spans(len(rows), self._limits.window_texts):
                vectors = view.vectors.take(rows[first:last])
                file.write(first, vectors)
                yield np.arange(first, last), vectors

    def remove_leftovers(self) -> None:
        """Remove files of earlier states, and of work that was interrupted; who has one mapped keeps what is mapped."""
        state = self._state()
        kept = {vector_file(state.generation)}
        if state.graph is not None:
            kept.add(Saved.from_json(state.graph).file)
        for path in [*self._folder.glob("vectors-*.f32"), *self._folder.glob("graph-*.usearch")]:
            if path.name not in kept:
                with contextlib.suppress(OSError):
                    path.unlink()
        for path in self._folder.glob(".graph-*.usearch.partial-*"):
            with contextlib.suppress(OSError):
                path.unlink()


def _graph_file(generation: int) -> str:
    # Never a name that was there before: a reader shall not take it for an older graph.
    return f"graph-{generation}-{secrets.token_hex(4)}.usearch"


def spans(count: int, size: int) -> Iterator[tuple[int, int]]:
    """Cut ``count`` things into portions of ``size``: the first of each, and the one after its last."""
    for first in range(0, count, size):
        yield first, min(first + size, count)
