"""The writing half of an index: what is added and removed, one writer at a time."""

import contextlib
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import (
    ClosedError,
    DiskFullError,
    IndexWarning,
    LimitError,
    OutputError,
    SearchIndexError,
)
from ..files.refusals import as_output_error
from ..machine.limits import limit_error
from .batches import Batch
from .limits import Progress, SearchLimits, blocks
from .rows import Rows
from .search.views import Views
from .storage.changes import Change
from .storage.keys import Key
from .storage.lock import LOCK, WriterLock
from .storage.reserve import Reserve
from .storage.where import Condition
from .upkeep import Upkeep

_T = TypeVar("_T")


class IndexWriter:
    """Writes an index, in one process at a time; its methods may be called from many threads, which take turns."""

    def __init__(self, views: Views, limits: SearchLimits) -> None:
        """Take the index's lock and look at what others have written; IndexLockedError if another writer has it."""
        self._views = views
        self._store = views.store
        self._limits = limits
        self._upkeep = Upkeep(views, limits)
        self._turn = threading.RLock()
        self._words_checked = False
        self._closed = False
        self._reserve = Reserve(self._store.folder)
        self._rows = Rows(views, self._reserve)
        self._lock = WriterLock(self._store.folder / LOCK)
        try:
            try:
                self._begin()
            except DiskFullError:
                with self._giving_up_reserve():
                    self._begin()
            self._keep_reserve()
        except BaseException:
            self._lock.release()
            raise

    @contextlib.contextmanager
    def _taking_turn(self) -> Iterator[None]:
        with self._turn:
            if self._closed:
                raise ClosedError("this index is closed; open it again")
            if not self._lock.held:
                raise SearchIndexError(
                    f"{self._store.folder}: open for writing in the parent process; open it here to write"
                )
            yield

    def _begin(self) -> None:
        # A missing or damaged file, or lost entries, before anything builds on them or is deleted.
        with self._views.reading(ann=False) as (reader, view):
            reader.check_counts(view.state)
            reader.check_keys()
        self._upkeep.delete_stale_files()
        self._views.begin_writing()

    @contextlib.contextmanager
    def _changing(self) -> Iterator[Change]:
        """Begin a change of entries, whose words go with them; `compact` and `build_keywords` mend damaged ones."""
        with self._store.writing() as change:
            if not self._words_checked:
                change.check_words_in_step(change.state())
                self._words_checked = True
            yield change

    @contextlib.contextmanager
    def _giving_up_reserve(self) -> Iterator[None]:
        """Give the reserve up for the time of the block."""
        self._reserve.give_up()
        try:
            yield
        finally:
            self._keep_reserve()

    def _keep_reserve(self) -> None:
        """Take the reserve, or as much of it as there is room for."""
        with contextlib.suppress(OSError, DiskFullError), self._store.reading() as reader:
            self._reserve.take(reader.reserved())

    def known(self, texts: Sequence[str], keys: Sequence[Key] | None) -> NDArray[np.bool_]:
        """Which texts stand under their keys already: bool [texts]."""
        known = np.zeros(len(texts), np.bool_)
        if keys is None:
            return known
        for first, last in blocks(0, len(texts), self._limits.window_texts):
            with self._store.reading() as reader:
                stored = {record.key: record.text for record in reader.records_of(keys[first:last])}
            known[first:last] = [stored.get(keys[i]) == texts[i] for i in range(first, last)]
        return known

    def add(self, batch: Batch, progress: Progress | None = None) -> list[Key]:
        """Commit a batch, keep the ANN graph up with it, and return its keys.

        Where there is no room for the graph, it warns: what is committed stays, and nobody shall add it again.

        Raises:
            VanishedError: known entries are gone. Nothing was added; add the batch again with their vectors.
        """
        with self._taking_turn():
            keys = self._appended(lambda change: self._rows.add(change, batch))
            if progress is not None:
                progress(len(keys))
            self._keep_graph_up()
        return keys

    def update(self, keys: Sequence[Key], metadata: Sequence[str | None], *, merge: bool) -> int:
        """Give the entries under distinct keys other metadata in one commit; how many had others before.

        Raises:
            InputValueError: a key has no entry. Nothing was changed.
        """
        with self._taking_turn():
            changed = self._appended(lambda change: self._rows.update(change, keys, metadata, merge=merge))
            self._keep_graph_up()
        return changed

    def _appended(self, append: Callable[[Change], _T]) -> _T:
        """Commit what ``append`` does."""
        try:
            with self._changing() as change:
                return append(change)
        except DiskFullError:
            self._upkeep.undo_addition()
            self._keep_reserve()
            raise

    def _keep_graph_up(self) -> None:
        """Keep the ANN graph up with what is committed, or warn that there is no room for it."""
        try:
            self._upkeep.extend_graph()
            self._upkeep.save_graph()
        except Exception as error:
            limit = limit_error(error)
            if limit is None and not isinstance(error, LimitError | OutputError):
                raise
            _warn_of_lag(limit or error)

    def remove(self, which: Sequence[Key] | Condition) -> int:
        """Remove the entries under these keys, or those that pass a filter, and return how many there were.

        All at once; on a full disk as many at once as there is room for, and those that were removed stay so.
        """
        with self._taking_turn():
            try:
                with self._changing() as change:
                    rows = self._rows.chosen(change, which)
                    change.bury(rows)
                    with as_output_error(change.path):
                        self._reserve.take(change.reserved())
                return len(rows)
            except DiskFullError:
                with self._giving_up_reserve():
                    return self._remove_in_parts(which)

    def _remove_in_parts(self, which: Sequence[Key] | Condition) -> int:
        self._store.settle()
        with self._store.writing() as change:
            rows = self._rows.chosen(change, which)
        first, size = 0, len(rows)
        while first < len(rows):
            try:
                with self._store.writing() as change:
                    change.bury(rows[first : first + size], tidy=False)
                    # What the database cannot take in would stay in the log, and nothing could ever be removed again.
                    with as_output_error(change.path):
                        self._reserve.take(change.unsettled(), more=0)
                first += size
            except DiskFullError:
                if size == 1:
                    raise
                size = -(-size // 2)
            self._reserve.give_up()
            self._store.settle()
        return len(rows)

    def checkpoint(self, *, least: int = 1) -> None:
        """Extend the ANN graph if it lacks ``least`` vectors, and save it if the saved one lacks as many."""
        with self._taking_turn():
            self._upkeep.extend_graph(least)
            self._upkeep.save_graph(least)

    def compact(self, progress: Progress | None = None) -> None:
        """Drop the dead, and build the ANN graph anew."""
        with self._taking_turn():
            try:
                self._upkeep.compact(progress)
            except DiskFullError:
                with self._giving_up_reserve():
                    self._upkeep.compact_on_full_disk()

    def build_keywords(self) -> None:
        """Make an index of the entries' words, in place of one that is there."""
        with self._taking_turn():
            about = replace(self._store.about, keywords=True)
            try:
                with self._store.writing() as change:
                    change.build_keywords(about)
                    with as_output_error(change.path):
                        self._reserve.take(change.reserved())
                self._store.about = about
            finally:
                # The log of what was undone, too, gives its room back.
                self._store.settle()
                self._keep_reserve()

    def close(self) -> None:
        """Save the ANN graph if it lacks much, and let others write, once other threads have finished their turns."""
        with self._turn:
            try:
                if self._lock.held:
                    self._store.settle()
                    self._keep_reserve()
                    self.checkpoint(least=self._limits.extend_rows)
            except DiskFullError as error:
                _warn_of_lag(error)
            finally:
                self.release()

    def release(self) -> None:
        """Let others write, once other threads have finished their turns."""
        with self._turn:
            self._closed = True
            self._lock.release()

    def after_fork(self) -> None:
        """In a forked child: another thread may have held the turn."""
        self._turn = threading.RLock()


def _warn_of_lag(error: Exception) -> None:
    message = f"{error}; until there is room, searches compare all of what the saved graph lacks"
    warnings.warn(IndexWarning(message), stacklevel=3)
