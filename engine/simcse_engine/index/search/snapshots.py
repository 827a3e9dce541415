"""From what the database says to what is searched: views of an index's states, each built on the last one."""

import contextlib
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import IndexDamagedError, IndexWarning
from ..ann.neighbours import Neighbours
from ..ann.saved import Saved
from ..ann.scheme import Scheme
from ..storage.records import Reader, State
from ..storage.store import Store
from ..storage.vectors import VectorMap
from .view import View


def vector_file(generation: int) -> str:
    """The name of the vector file of a generation."""
    return f"vectors-{generation}.f32"


class Snapshots:
    """Views of an index; may be used from many threads at once.

    Attributes:
        graph: the graph of the newest generation, once it was needed; the writer adds to it.
    """

    def __init__(self, folder: Path, store: Store, scheme: Scheme, *, threads: int, read_only: bool) -> None:
        self._folder = folder
        self._store = store
        self._scheme = scheme
        self._threads = threads
        self._read_only = read_only
        self.forget()

    def after_fork(self) -> None:
        """In a forked child, begin anew: another thread may have held a lock, or been adding to the graph."""
        self._read_only = True
        self.forget()

    def forget(self) -> None:
        """Drop views and graph."""
        self._lock = threading.Lock()
        self._last: View | None = None
        self.graph: Neighbours | None = None
        # What the graph was opened from, or what was found damaged: a saved graph's record, and its generation.
        self._opened: tuple[int, str | None] | None = None

    @contextlib.contextmanager
    def looking(self, *, graph: bool = True) -> Iterator[tuple[Reader, View]]:
        """Yield one state of the database and its view.

        Args:
            graph: whether the view's graph is wanted; without it, one that is not open yet stays closed.

        Raises:
            IndexDamagedError: a file that the state speaks of is missing or not what it should be.
        """
        missed: State | None = None
        while True:
            with self._store.reading() as reader:
                state = reader.state()
                try:
                    view = self.view(reader, state, graph=graph)
                except FileNotFoundError as error:
                    # Removed by a compaction since this state was read; the next one knows another file.
                    if state == missed:
                        raise IndexDamagedError(f"{error.filename}: missing; restore it from a backup") from error
                    missed = state
                    continue
                yield reader, view
                return

    def view(self, reader: Reader, state: State, *, graph: bool = True) -> View:
        """The view of the state that ``reader`` sees.

        Raises:
            FileNotFoundError, IndexDamagedError: as `looking` says.
        """
        with self._lock:
            last = self._last
            if graph:
                found = self._graph(state)
            else:
                found = last.graph if last is not None and last.state.generation == state.generation else None
            if last is not None and last.state == state and last.graph is found:
                return last
            view = self._new_view(reader, state, found)
            if last is None or _not_before(state, last.state):
                self._last = view
            return view

    def _new_view(self, reader: Reader, state: State, graph: Neighbours | None) -> View:
        about, last = self._store.about, self._last
        alive: NDArray[np.bool_] = np.ones(state.rows, np.bool_)
        known = 0
        if last is not None and last.state.generation == state.generation and _not_before(state, last.state):
            known = last.state.deaths
            alive[: last.rows] = last.alive
        else:
            last = None
        dead = reader.dead(known)
        if len(dead) != state.deaths - known:
            raise IndexDamagedError(f"{self._folder}: the database has lost what was removed; restore a backup")
        if len(dead) and not (dead.min() >= 0 and dead.max() < state.rows):
            raise IndexDamagedError(f"{self._folder}: the database names dead rows that never were; restore a backup")
        alive[dead] = False
        if last is not None and last.rows == state.rows:
            vectors = last.vectors
        else:
            vectors = VectorMap(
                self._folder / vector_file(state.generation),
                rows=state.rows,
                dimension=about.dimension,
                generation=state.generation,
                name=bytes.fromhex(about.name),
            )
            if last is not None:
                vectors.trust(last.vectors)
        live = int(np.count_nonzero(alive))
        return View(state=state, alive=alive, live=live, vectors=vectors, graph=graph)

    def _graph(self, state: State) -> Neighbours | None:
        """The graph that goes with a state; None if there is none, or it is damaged."""
        wanted = (state.generation, state.graph)
        if self._opened is not None and self._opened != wanted:
            if state.generation < self._opened[0]:
                return None
            # The writer's own graph is ahead of what it has saved.
            if state.generation == self._opened[0] and not self._read_only:
                return self.graph
        elif self._opened == wanted:
            return self.graph
        self.graph = self._open_graph(state.graph)
        self._opened = wanted
        return self.graph

    def _open_graph(self, text: str | None) -> Neighbours | None:
        if text is None:
            return None
        try:
            return Neighbours.open(self._folder, Saved.from_json(text), self._scheme, threads=self._threads)
        except (IndexDamagedError, OSError, ValueError, TypeError, KeyError) as error:
            if isinstance(error, FileNotFoundError) and self._read_only and not self._is_current(text):
                raise
            advice = "open it for writing and call checkpoint()" if self._read_only else "checkpoint() builds it again"
            message = f"{error}; vectors are compared one by one until the graph is built again: {advice}"
            warnings.warn(IndexWarning(message), stacklevel=2)
            return None

    def covered(self, state: State) -> int:
        """How many rows the graph of a state covers; it is not opened for that. 0 if it is known to be damaged."""
        with self._lock:
            if self._opened is not None and self._opened[0] == state.generation:
                return 0 if self.graph is None else self.graph.covered
        return 0 if state.graph is None else Saved.from_json(state.graph).covered

    def _is_current(self, text: str) -> bool:
        with self._store.reading() as reader:
            return reader.state().graph == text

    def adopt(self, graph: Neighbours | None, state: State) -> None:
        """From now on ``graph`` goes with ``state`` and what follows it."""
        with self._lock:
            self.graph, self._opened, self._last = graph, (state.generation, state.graph), None


def _not_before(state: State, other: State) -> bool:
    """Whether ``state`` is the same as ``other`` or came after it."""
    if state.generation != other.generation:
        return state.generation > other.generation
    return state.rows >= other.rows and state.deaths >= other.deaths
