"""The writing half of an index: what is added and removed, one writer at a time, and each in its turn."""

import contextlib
import itertools
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputValueError, SearchIndexError
from ..files.atomic import as_output_error
from .ann.scheme import Scheme
from .blocks import blocks
from .checks import MOST_KEY
from .limits import SearchLimits
from .search.views import Views
from .storage.lock import WriterLock
from .storage.records import Record, State
from .storage.store import Store
from .storage.vectors import VectorWriter, vector_file_name
from .upkeep import Upkeep

Progress = Callable[[int], Any]


class IndexWriter:
    """Writes an index, in one process at a time; its methods may be called from many threads, and take turns."""

    def __init__(
        self, folder: Path, store: Store, views: Views, scheme: Scheme, *, limits: SearchLimits, threads: int
    ) -> None:
        """Take the index's lock.

        Raises:
            IndexLockedError: another has it.
        """
        self._folder = folder
        self._store = store
        self._views = views
        self._scheme = scheme
        self._limits = limits
        self._upkeep = Upkeep(folder, store, views, scheme, limits=limits, threads=threads)
        self._turn = threading.RLock()
        self._lock = WriterLock(folder / "lock")
        try:
            self._upkeep.delete_stale_files()
        except BaseException:
            self._lock.release()
            raise

    def _refuse_after_fork(self) -> None:
        if not self._lock.held:
            raise SearchIndexError(f"{self._folder}: open for writing in the parent process; open it here to write")

    def known(self, texts: Sequence[str], keys: Sequence[int] | None) -> NDArray[np.bool_]:
        """Which texts stand under their keys already: bool [texts]."""
        known = np.zeros(len(texts), np.bool_)
        if keys is None:
            return known
        for first, last in blocks(0, len(texts), self._limits.window_texts):
            with self._store.reading() as reader:
                found = {record.key: record.text for record in reader.records_of(keys[first:last])}
            known[first:last] = [found.get(keys[i]) == texts[i] for i in range(first, last)]
        return known

    def add(
        self,
        texts: Sequence[str],
        keys: Sequence[int] | None,
        metadata: Sequence[str | None],
        vectors: Callable[[int, int], NDArray[np.float32]],
        *,
        known: NDArray[np.bool_] | None = None,
        encode: Callable[[list[str]], NDArray[np.float32]] | None = None,
        progress: Progress | None = None,
    ) -> list[int]:
        """Add entries, a window a commit.

        Args:
            texts: what to add.
            keys: their keys; None for automatic ones.
            metadata: JSON or None for each.
            vectors: called with the first position and the one after the last of a window, in order; the vectors of
                those texts in it that are not ``known``.
            known: bool [texts]; which need no vector, as the text stands under its key.
            encode: for a known one that is gone when its turn comes.
            progress: called with a number of entries when they are committed.

        Returns:
            The keys.
        """
        added: list[int] = []
        for first, last in blocks(0, len(texts), self._limits.window_texts):
            fresh = np.ones(last - first, np.bool_) if known is None else ~known[first:last]
            given = np.empty((last - first, self._scheme.dimension), np.float32)
            given[fresh] = vectors(first, last)
            part = slice(first, last)
            with self._turn:
                self._refuse_after_fork()
                added += self._commit(
                    texts[part], None if keys is None else keys[part], metadata[part], given, fresh, encode
                )
                if progress is not None:
                    progress(last - first)
                self._upkeep.extend_graph()
                self._upkeep.save_graph()
        return added

    def _commit(
        self,
        texts: Sequence[str],
        keys: Sequence[int] | None,
        metadata: Sequence[str | None],
        vectors: NDArray[np.float32],
        fresh: NDArray[np.bool_],
        encode: Callable[[list[str]], NDArray[np.float32]] | None,
    ) -> list[int]:
        with self._store.writing() as change:
            state = change.state()
            if keys is None:
                keys = range(state.next_key, state.next_key + len(texts))
                if keys and keys[-1] > MOST_KEY:
                    raise InputValueError("there is no larger key than the largest here; give keys yourself")
            there = {record.key: record for record in change.records_of(keys)}
            same = {
                i: there[keys[i]]
                for i in np.flatnonzero(~fresh).tolist()
                if keys[i] in there and there[keys[i]].text == texts[i]
            }
            if same:
                # Rows never change; with other metadata the entry gets a new one, and its vector again.
                view = self._views.view(change, state, ann=False)
                vectors[list(same)] = view.vectors.take(np.array([record.row for record in same.values()]))
            lost = [i for i in np.flatnonzero(~fresh).tolist() if i not in same]
            if lost and encode is not None:
                vectors[lost] = encode([texts[i] for i in lost])
            new = [i for i in range(len(texts)) if i not in same or same[i].metadata != metadata[i]]
            if new:
                self._write(state, vectors[new])
                change.bury([there[keys[i]].row for i in new if keys[i] in there])
                rows = itertools.count(state.rows)
                change.insert([Record(next(rows), keys[i], texts[i], metadata[i]) for i in new])
                next_key = max(state.next_key, max(keys) + 1)
                change.grow(state, state.rows + len(new), next_key)
        return list(keys)

    def _write(self, state: State, vectors: NDArray[np.float32]) -> None:
        path = self._folder / vector_file_name(state.generation)
        with (
            as_output_error(path),
            contextlib.closing(VectorWriter(path, self._scheme.dimension)) as file,
        ):
            file.write(state.rows, vectors)

    def remove(self, keys: Sequence[int]) -> int:
        """Remove what stands under these keys; how many there were."""
        with self._turn:
            self._refuse_after_fork()
            with self._store.writing() as change:
                rows = [record.row for record in change.records_of(keys)]
                change.bury(rows)
        return len(rows)

    def checkpoint(self, *, least: int = 1) -> None:
        """Bring the graph up to date if it lacks ``least`` vectors, and save it if so many are not in the saved one."""
        with self._turn:
            self._refuse_after_fork()
            self._upkeep.extend_graph(least)
            self._upkeep.save_graph(least)

    def compact(self) -> None:
        """Drop the dead, and build the graph anew."""
        with self._turn:
            self._refuse_after_fork()
            self._upkeep.compact()

    def close(self) -> None:
        """Save the graph if much has come in since, and let others write."""
        try:
            if self._lock.held:
                self.checkpoint(least=self._limits.extend_rows)
        finally:
            self.release()

    def release(self) -> None:
        """Let others write."""
        self._lock.release()

    def after_fork(self) -> None:
        """In a forked child: another thread may have held the turn."""
        self._turn = threading.RLock()
