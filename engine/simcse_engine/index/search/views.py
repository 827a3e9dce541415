"""Views: what a search sees of one state of the index, each built on the one before it."""

import contextlib
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...errors import IndexDamagedError, IndexWarning
from ...machine.kernels import chosen_variant, load_library
from ...machine.limits import limit_error
from ...wording import Wording
from ..ann.graph import AnnGraph
from ..ann.saved import SavedGraph
from ..ann.scheme import Scheme
from ..storage.hold import Hold
from ..storage.records import State
from ..storage.store import Store
from ..storage.transactions import Reader
from ..storage.vectors import VectorMap, vector_file_name
from .codes import Codes


@dataclass(frozen=True, kw_only=True)
class View:
    """What one transaction sees; nothing in it changes, but that the ANN graph may grow.

    Attributes:
        state: the database's.
        alive: bool [rows], which rows may be found: those that hold an entry and pass the filter.
        live: how many there are.
        vectors: the first rows of the vector file.
        codes: the codes of the rows, made when they are needed.
        ann: the ANN graph of this generation; None where there is none.
    """

    state: State
    alive: NDArray[np.bool_]
    live: int
    vectors: VectorMap
    codes: Codes
    ann: AnnGraph | None

    @property
    def rows(self) -> int:
        """How many rows there are, dead ones too."""
        return self.state.rows

    def restricted_to(self, mask: NDArray[np.bool_]) -> "View":
        """The same view, in which only rows that a filter's mask selects are alive."""
        alive = self.alive & mask
        return replace(self, alive=alive, live=int(np.count_nonzero(alive)))


class Views:
    """The views of an index; may be used from many threads at once.

    Attributes:
        store: the index's database.
        scheme: how its ANN graph is built.
        threads: how many to use for it.
        ann: the ANN graph of the newest generation, once it was needed; the writer extends it.
    """

    def __init__(self, store: Store, *, threads: int) -> None:
        self.store = store
        self.scheme = Scheme(dimension=store.about.dimension, dtype=store.about.dtype)
        self.threads = threads
        # What was found intact.
        self._counted = self._keyed = self._worded = False
        # Of the newest generation that was searched.
        self._codes: tuple[int, Codes] | None = None
        self._reset()

    def after_fork(self) -> None:
        """In a forked child, begin anew: another thread may have held a lock, or been extending the ANN graph."""
        if self._codes is not None:
            self._codes[1].after_fork()
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._writes = False
        self._last: View | None = None
        self.ann: AnnGraph | None = None
        # Generation and record of the saved graph that `ann` was opened from, or that is damaged.
        self._opened: tuple[int, str | None] | None = None

    @contextlib.contextmanager
    def reading(
        self, *, ann: bool = True, more_than: int = 0, counted: bool = True, hold: Hold | None = None
    ) -> Iterator[tuple[Reader, View]]:
        """Yield one state of the database and its view.

        Without ``ann``, and where there are no ``more_than`` so many entries, an ANN graph not open yet stays closed;
        without ``counted``, `check_counts` is left for later. A ``hold`` keeps the state.
        """
        missed: State | None = None
        while True:
            with self.store.reading(hold) as reader:
                state = reader.state()
                if counted:
                    self.check_counts(reader)
                try:
                    view = self.view(reader, state, ann=ann and state.entries > more_than)
                except FileNotFoundError as error:
                    # A compaction removed it since this state was read; the next state names another file.
                    if state == missed:
                        raise IndexDamagedError(f"{error.filename}: missing; restore it from a backup") from error
                    missed = state
                    reader.end()
                    continue
                yield reader, view
                return

    def check_counts(self, reader: Reader) -> None:
        """Raise for entries that a damaged database hides, before its first answer: to count takes milliseconds."""
        if not self._counted:
            reader.check_counts(reader.state())
            self._counted = True

    def check_keys(self, reader: Reader) -> None:
        """As `check_counts`, for keys under which a damaged database finds nothing."""
        if not self._keyed:
            reader.check_keys()
            self._keyed = True

    def check_keywords(self, reader: Reader) -> None:
        """As `check_counts`, for texts that a damaged index of words hides; SearchIndexError where there is none."""
        if not self._worded:
            reader.check_keywords(reader.state())
            self._worded = True

    def view(self, reader: Reader, state: State, *, ann: bool = True) -> View:
        """The view of the state that ``reader`` sees; FileNotFoundError if a compaction has removed its files."""
        with self._lock:
            last = self._last
            if ann:
                graph = self._ann_of(state)
            else:
                graph = last.ann if last is not None and last.state.generation == state.generation else None
            if last is not None and last.state == state and last.ann is graph:
                return last
            view = self._new_view(reader, state, graph)
            if last is None or _not_before(state, last.state):
                self._last = view
            return view

    def _new_view(self, reader: Reader, state: State, ann: AnnGraph | None) -> View:
        last = self._last
        if last is not None and (last.state.generation != state.generation or not _not_before(state, last.state)):
            last = None
        if last is not None and last.rows == state.rows:
            vectors = last.vectors
        else:
            about = self.store.about
            vectors = VectorMap(
                self.store.folder / vector_file_name(state.generation),
                rows=state.rows,
                dimension=about.dimension,
                generation=state.generation,
                name=bytes.fromhex(about.name),
            )
            if last is not None:
                vectors.trust(last.vectors)
        # After the vectors, which are there: so many rows fit into memory.
        alive = self._alive(reader, state, last)
        live, codes = int(np.count_nonzero(alive)), self._codes_of(state)
        return View(state=state, alive=alive, live=live, vectors=vectors, codes=codes, ann=ann)

    def _codes_of(self, state: State) -> Codes:
        """The codes of a state's generation."""
        if self._codes is None or self._codes[0] < state.generation:
            self._codes = (state.generation, Codes(self.store.about.dimension))
        generation, codes = self._codes
        return codes if generation == state.generation else Codes(self.store.about.dimension)

    def _alive(self, reader: Reader, state: State, last: View | None) -> NDArray[np.bool_]:
        """Which rows of ``state`` hold an entry; ``last`` is an earlier view of its generation."""
        alive: NDArray[np.bool_] = np.ones(state.rows, np.bool_)
        known_deaths = 0
        if last is not None:
            alive[: last.rows] = last.alive
            known_deaths = last.state.deaths
        dead = reader.dead(known_deaths)
        folder = self.store.folder
        if len(dead) != state.deaths - known_deaths:
            raise IndexDamagedError(f"{folder}: the database has lost what was removed; restore a backup")
        if len(dead) and not (dead.min() >= 0 and dead.max() < state.rows):
            raise IndexDamagedError(f"{folder}: the database names dead rows that never were; restore a backup")
        alive[dead] = False
        return alive

    def _ann_of(self, state: State) -> AnnGraph | None:
        """The ANN graph of a state; None if there is none, or it is damaged."""
        needed = (state.generation, state.graph)
        if self._opened is not None and self._opened != needed:
            if state.generation < self._opened[0]:
                return None
            # The writer's own graph is ahead of what it has saved.
            if state.generation == self._opened[0] and self._writes:
                return self.ann
        elif self._opened == needed:
            return self.ann
        self.ann = self._open_ann(state)
        self._opened = needed
        return self.ann

    def _open_ann(self, state: State) -> AnnGraph | None:
        if state.graph is None:
            return None
        try:
            saved = SavedGraph.from_json(state.graph)
            if saved.covered > state.rows:
                raise IndexDamagedError(
                    f"{self.store.folder}: the graph is of {saved.covered:,} rows, not {state.rows:,}"
                )
            if saved.is_outdated(self.scheme.dtype):
                self._tell_outdated()
                return None
            return AnnGraph.open(self.store.folder, saved, self.scheme, threads=self.threads)
        except (IndexDamagedError, OSError) as error:
            if limit_error(error) is not None:
                raise
            if isinstance(error, FileNotFoundError) and self.store.state().graph != state.graph:
                raise
            self._tell_damaged(error)
            return None

    def loaded(self, ann: AnnGraph | None) -> AnnGraph | None:
        """The same graph in memory, where it can grow; None, after `drop_ann`, where it turns out to be damaged."""
        if ann is not None:
            try:
                ann.load(threads=self.threads)
            except IndexDamagedError as error:
                self.drop_ann(ann, error)
                return None
        return ann

    def drop_ann(self, ann: AnnGraph, error: IndexDamagedError) -> None:
        """Do without ``ann``, which ``error`` says is damaged, from now on; as where it is when it is opened."""
        with self._lock:
            if self.ann is not ann:  # another thread has been here
                return
            self.ann = self._last = None
        self._tell_damaged(error)

    def _tell_damaged(self, error: Exception) -> None:
        message = f"{error}; searches compare all vectors until the graph is built again: "
        warnings.warn(IndexWarning(message, self._advice()), stacklevel=3)

    def _tell_outdated(self) -> None:
        """Say what makes a search quick again; a writer does it without being asked."""
        if not self._writes:
            message = (
                f"{self.store.folder}: its graph is of an earlier version, and searches are slow until it is new: "
            )
            warnings.warn(IndexWarning(message, self._advice()), stacklevel=3)

    def _advice(self) -> Wording:
        return Wording(
            "checkpoint() builds it again" if self._writes else "open it for writing and call checkpoint()",
            "simcse-engine index compact builds it",
        )

    def covered(self, state: State) -> int:
        """How many rows the ANN graph of a state covers, without opening it; 0 if it is known to be unusable."""
        with self._lock:
            if self._opened is not None and self._opened[0] == state.generation:
                return 0 if self.ann is None else self.ann.covered
        saved = SavedGraph.of(state.graph)
        return 0 if saved is None or saved.is_outdated(self.scheme.dtype) else saved.covered

    def begin_writing(self) -> None:
        """Keep the ANN graph from now on, as the caller extends it, unless another writer has saved a later one.

        InputValueError for a wrong value of SIMCSE_KERNELS, which would else end an addition behind its commit.
        """
        chosen_variant(load_library())
        state = self.store.state()
        with self._lock:
            if self._opened != (state.generation, state.graph):
                self.ann = self._opened = None
            self._writes = True

    def forget_ann(self) -> None:
        """Open the saved ANN graph again when one is needed."""
        with self._lock:
            self.ann = self._opened = self._last = None

    def adopt(self, ann: AnnGraph | None, state: State) -> None:
        """Take ``ann`` as the ANN graph of ``state`` and of the states after it."""
        with self._lock:
            self.ann, self._opened, self._last = ann, (state.generation, state.graph), None


def _not_before(state: State, other: State) -> bool:
    """Whether ``state`` is the same as ``other`` or came after it."""
    if state.generation != other.generation:
        return state.generation > other.generation
    return state.rows >= other.rows and state.deaths >= other.deaths
