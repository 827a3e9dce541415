"""Upkeep: extends and saves the ANN graph, drops the dead, and deletes stale files.

Nothing here takes turns: the writer calls it, whose lock and turn are held meanwhile.
"""

import contextlib
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DiskFullError, IndexDamagedError
from ..files.atomic import whole_file
from ..files.refusals import as_output_error
from .ann.graph import AnnGraph
from .limits import Progress, SearchLimits, blocks
from .search.views import View, Views
from .stale import next_generation, stale_files
from .storage.vectors import VectorWriter, create_vector_file, size_of_vectors, vector_file_name


class Upkeep:
    """The upkeep of an index that is open for writing."""

    def __init__(self, views: Views, limits: SearchLimits) -> None:
        self._views = views
        self._store = views.store
        self._limits = limits

    def extend_graph(self, least: int | None = None) -> None:
        """Add to the ANN graph what it lacks, if that is ``least`` vectors or, with None, what the limits ask for.

        Where all searches are exact, it stays as it is: an earlier engine, or a time with more entries, has left it.
        """
        state = self._store.state()
        if state.entries <= self._limits.exact_rows:
            return
        covered = self._views.covered(state)
        if least is None:
            least = max(self._limits.extend_rows, int(covered * self._limits.extend_share))
        if state.rows - covered < least:
            return
        with self._views.reading() as (_, view):
            ann = view.ann
        if ann is not None and len(ann) > 2 * np.count_nonzero(view.alive[: ann.covered]):
            ann = None  # more than half of what it holds is dead
        ann = self._views.loaded(ann) or AnnGraph(self._views.scheme)
        try:
            for first, last in blocks(ann.covered, view.rows, self._limits.window_texts):
                rows = np.flatnonzero(view.alive[first:last]) + first
                ann.add(rows, view.vectors.take(rows), covered=last, threads=self._views.threads)
        except BaseException:
            # Which rows are in it is no longer known; what was saved is whole.
            self._views.forget_ann()
            raise
        self._views.adopt(ann, view.state)

    def save_graph(self, least: int | None = None) -> None:
        """Save the ANN graph if it has grown by ``least`` vectors or, with None, by what the limits ask for."""
        ann = self._views.ann
        if ann is None:
            return
        if least is None:
            least = max(self._limits.extend_rows, int(ann.saved_covered * self._limits.save_share))
            # Where there was no room, not with every addition again.
            if ann.covered - ann.tried_covered < least:
                return
        if ann.covered - ann.saved_covered < least:
            return
        ann.tried_covered = ann.covered
        state = self._store.state()
        folder = self._store.folder
        try:
            saved = ann.save(folder, _graph_file_name(state.generation), threads=self._views.threads)
            with self._store.writing() as change:
                change.set_state(replace(state, graph=saved.to_json()))
            ann.saved_as(folder, saved)
        finally:
            # The former file, or a new one that does not count.
            self.delete_stale_files()

    def compact(self, progress: Progress | None = None, *, with_graph: bool = True) -> None:
        """Write the living vectors into a new file, build an ANN graph over it, and make both count at once."""
        with self._views.reading(ann=False) as (reader, view):
            rows = reader.live_rows()
        if not np.array_equal(rows, np.flatnonzero(view.alive)):
            # A damaged database hides entries; their vectors must not be dropped for good.
            raise IndexDamagedError(f"{self._store.folder}: entries are missing from the database; restore a backup")
        generation = next_generation(self._store.folder, view.state)
        try:
            self._rewrite(view, rows, generation, progress, with_graph=with_graph)
        finally:
            # The former files, or those of an interrupted compaction.
            self.delete_stale_files(begun=generation)
        self._store.shrink()

    def compact_on_full_disk(self) -> None:
        """Drop the ANN graph before the rest is compacted, and build it again with the space that this gives back."""
        state = self._store.state()
        if state.graph is not None:
            state = replace(state, graph=None)
            with self._store.writing() as change:
                change.set_state(state)
            self._views.adopt(None, state)
        self.delete_stale_files()
        self._store.settle()
        with self._store.reading() as reader:
            needed = size_of_vectors(state.entries, self._store.about.dimension) + reader.room_to_copy()
        free = shutil.disk_usage(self._store.folder).free
        try:
            self.compact(with_graph=False)
        except DiskFullError as error:
            raise DiskFullError(
                f"{self._store.folder}: to compact it takes about {needed / 1e6:,.1f} MB, and {free / 1e6:,.1f} MB are "
                "free on its disk; make room there, or remove more entries"
            ) from error
        self.extend_graph(least=1)
        # Without its graph on disk, an index only answers more slowly.
        with contextlib.suppress(DiskFullError):
            self.save_graph(least=1)

    def _rewrite(
        self, view: View, rows: NDArray[np.int64], generation: int, progress: Progress | None, *, with_graph: bool
    ) -> None:
        """Make copies of ``rows``, in the vector file of another generation and a graph of its own, the index."""
        folder, threads = self._store.folder, self._views.threads
        ann = AnnGraph(self._views.scheme) if with_graph and len(rows) > self._limits.exact_rows else None
        with contextlib.ExitStack() as files:
            path = files.enter_context(whole_file(folder / vector_file_name(generation)))
            with as_output_error(folder):
                for new_rows, vectors in self._copy(view, rows, generation, path):
                    if ann is not None:
                        ann.add(new_rows, vectors, covered=int(new_rows[-1]) + 1, threads=threads)
                    if progress is not None:
                        progress(len(new_rows))
            saved = None
            if ann is not None:
                saving = ann.saving(folder, _graph_file_name(generation), threads=threads)
                saved = files.enter_context(saving)
            with self._store.writing() as change:
                change.renumber(view.state, generation, None if saved is None else saved.to_json())
                state = change.state()
                # No sooner: unfinished names tell the next writer what a killed compaction has left.
                files.close()
        if ann is not None and saved is not None:
            ann.saved_as(folder, saved)
        self._views.adopt(ann, state)

    def _copy(
        self, view: View, rows: NDArray[np.int64], generation: int, path: Path
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Copy rows into a vector file of another generation, and yield them under their new numbers."""
        about = self._store.about
        create_vector_file(path, dimension=about.dimension, generation=generation, name=bytes.fromhex(about.name))
        with contextlib.closing(VectorWriter(path, about.dimension)) as file:
            for first, last in blocks(0, len(rows), self._limits.window_texts):
                vectors = view.vectors.take(rows[first:last])
                file.write(first, vectors)
                yield np.arange(first, last), vectors

    def delete_stale_files(self, *, begun: int | None = None) -> None:
        """Delete `stale_files`; whoever has one mapped keeps the mapping."""
        for path in list(stale_files(self._store.folder, self._store.state(), begun=begun)):
            with contextlib.suppress(OSError):
                path.unlink()

    def undo_addition(self) -> None:
        """Give back the space of an addition that the disk had no room for: vectors that do not count, and the log."""
        state = self._store.state()
        path = self._store.folder / vector_file_name(state.generation)
        with contextlib.closing(VectorWriter(path, self._store.about.dimension)) as file:
            file.trim(state.rows)
        self._store.settle()


def _graph_file_name(generation: int) -> str:
    # Never an earlier name again: a reader would take the file for an older graph.
    return f"graph-{generation}-{secrets.token_hex(4)}.usearch"
