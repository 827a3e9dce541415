"""Contents: what an index holds, as its callers read it."""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from ..errors import InputTypeError
from ..files.entries import create_entries
from ..inputs import checked_count
from ..machine.limits import naming_limits
from .info import IndexInfo, info_of
from .limits import Progress
from .search.searcher import Searcher
from .search.views import View, Views
from .storage.keys import Key, no_entry
from .storage.records import About, Entry, Record
from .storage.store import Store
from .storage.transactions import Reader
from .storage.where import compile_where
from .walk import walk

EntryAndVector: TypeAlias = tuple[Entry, NDArray[np.float32]]


class Contents:
    """The half of `simcse_engine.index.Index` that reads what it holds.

    Attributes:
        folder: the index's, as an absolute path.
    """

    folder: Path
    _store: Store
    _views: Views
    _searcher: Searcher

    def __len__(self) -> int:
        """How many entries there are."""
        return self._store.state().entries

    @property
    def about(self) -> About:
        """What the index is: its artifact, identity, dimension and dtype."""
        return self._store.about

    @naming_limits
    def info(self) -> IndexInfo:
        """What the index is and holds, as of now."""
        with self._store.reading() as reader:
            self._views.check_counts(reader)
            return info_of(self.folder, self.about, reader.state())

    @naming_limits
    def count(self, where: Mapping[str, Any] | None = None) -> int:
        """How many entries there are, or meet ``where``, which is as for `search`."""
        if where is None:
            return len(self)
        condition = compile_where(where)
        with self._views.reading(ann=False) as (reader, view):
            return self._searcher.passing(condition, view, reader).live

    @overload
    def get(self, keys: Iterable[Key], *, vectors: Literal[False] = False) -> list[Entry | None]: ...
    @overload
    def get(self, keys: Iterable[Key], *, vectors: Literal[True]) -> list[EntryAndVector | None]: ...
    @naming_limits
    def get(self, keys: Iterable[Key], *, vectors: bool = False) -> list[Entry | None] | list[EntryAndVector | None]:
        """The entries under these keys, in their order; None where there is none.

        Args:
            keys: of the entries.
            vectors: give each as a pair with its vector, float32 [dimension] of unit length. `vectors` gives an array
                of them alone.
        """
        checked = self.about.key_kind.checked(keys)
        if not vectors:
            with self._store.reading() as reader:
                self._views.check_counts(reader)
                entries = {key: record.entry() for key, record in self._records(reader, checked).items()}
            return [entries.get(key) for key in checked]
        with self._views.reading(ann=False) as (reader, view):
            records = self._records(reader, checked)
            taken = view.vectors.take(np.array([record.row for record in records.values()], np.int64))
        pairs = {record.key: (record.entry(), vector) for record, vector in zip(records.values(), taken, strict=True)}
        return [pairs.get(key) for key in checked]

    @naming_limits
    def vectors(self, keys: Iterable[Key]) -> NDArray[np.float32]:
        """The vectors of the entries under these keys, in their order.

        Returns:
            float32 [keys, dimension], of unit length.

        Raises:
            InputValueError: a key has no entry.
        """
        checked = self.about.key_kind.checked(keys)
        with self._views.reading(ann=False) as (reader, view):
            records = self._records(reader, checked)
            for position, key in enumerate(checked):
                if key not in records:
                    raise no_entry(position, key)
            return np.ascontiguousarray(view.vectors.take(np.array([records[key].row for key in checked], np.int64)))

    def _records(self, reader: Reader, keys: Sequence[Key]) -> dict[Key, Record]:
        """The records under these keys, without those that are absent."""
        records = {record.key: record for record in reader.records_of(list(set(keys)))}
        if not all(key in records for key in keys):
            self._views.check_keys(reader)
        return records

    def __contains__(self, key: Key) -> bool:
        """Whether there is an entry under a key."""
        return self.get([key]) != [None]

    def __iter__(self) -> Iterator[Entry]:
        """All entries, as `entries` gives them."""
        return self.entries()

    @overload
    def entries(
        self, where: Mapping[str, Any] | None = None, *, vectors: Literal[False] = False
    ) -> Iterator[Entry]: ...
    @overload
    def entries(
        self, where: Mapping[str, Any] | None = None, *, vectors: Literal[True]
    ) -> Iterator[EntryAndVector]: ...
    def entries(
        self, where: Mapping[str, Any] | None = None, *, vectors: bool = False
    ) -> Iterator[Entry] | Iterator[EntryAndVector]:
        """Iterate over all entries, or over those that meet ``where``, in the order in which they were added.

        All are of one moment, that of the first: what is added, changed or removed meanwhile, or compacted, changes
        nothing of them, and the loop may do it itself. They are read some thousand at a time. Until the iteration
        ends, is closed (``close()``) or dropped, the database's log keeps all that is written since. After `close`
        of the index, it raises ClosedError. It goes on after a fork, in parent and child, unless entries were removed
        or replaced since it began: then it raises SearchIndexError.

        Args:
            where: as for `search`.
            vectors: give each entry as a pair with its vector, float32 [dimension] of unit length.

        Raises:
            InputTypeError, InputValueError: ``where`` is wrong.
        """
        pages = walk(self._views, self._searcher, None if where is None else compile_where(where))
        return _with_vectors(pages) if vectors else (record.entry() for page, _, _ in pages for record in page)

    @overload
    def page(
        self,
        count: int,
        *,
        after: Key | None = None,
        where: Mapping[str, Any] | None = None,
        vectors: Literal[False] = False,
    ) -> list[Entry]: ...
    @overload
    def page(
        self, count: int, *, after: Key | None = None, where: Mapping[str, Any] | None = None, vectors: Literal[True]
    ) -> list[EntryAndVector]: ...
    @naming_limits
    def page(
        self, count: int, *, after: Key | None = None, where: Mapping[str, Any] | None = None, vectors: bool = False
    ) -> list[Entry] | list[EntryAndVector]:
        """Up to ``count`` entries in the order of their keys, all of this moment.

        Unlike `entries`, nothing is held between one page and the next, whose ``after`` is the key of the last entry.
        What is there all the while is on one page, whatever else is added, changed, removed or compacted in between.

        Args:
            count: how many at most. Fewer are the last ones.
            after: a key, which need not have an entry; None for the first page.
            where: as for `search`. Every page looks at the entries that it skips.
            vectors: give each entry as a pair with its vector, float32 [dimension] of unit length.

        Raises:
            InputTypeError, InputValueError: an argument is wrong.
        """
        if count is None:
            raise InputTypeError("count=None: expected a whole number")
        count = min(checked_count("count", count, 0), sys.maxsize)
        begin = None if after is None else self.about.key_kind.checked_one("after", after)
        condition = None if where is None else compile_where(where)
        with self._views.reading(ann=False) as (reader, view):
            self._views.check_keys(reader)
            records = reader.page(begin, count, condition)
            entries = [record.entry() for record in records]
            if not vectors:
                return entries
            taken = view.vectors.take(np.array([record.row for record in records], np.int64))
        return list(zip(entries, taken, strict=True))

    @naming_limits
    def export(self, path: str | os.PathLike[str], *, progress: Progress | None = None) -> int:
        """Write all entries into a file, which appears whole or not at all.

        Args:
            path: `.parquet` or `.arrow` (both need ``simcse-engine[arrow]``) with the columns ``key`` (uint64,
                or string for keys of other kinds),
                ``text``, ``metadata`` (JSON) and ``vector`` (float32, unit length), or `.jsonl` with these names.
            progress: called with a number of entries whenever so many more are written.

        Returns:
            How many entries there are.

        Raises:
            InputValueError: another suffix, or pyarrow is missing.
            OutputError: the file cannot be written.
        """
        count, kind = 0, self.about.key_kind
        with create_entries(Path(path), self.about.dimension, self.about.identity, kind.arrow) as write:
            for page, rows, view in walk(self._views, self._searcher, None):
                _, keys, texts, metadata = zip(*page, strict=True)
                write(list(map(kind.in_json, keys)), texts, metadata, view.vectors.take(rows))
                count += len(page)
                if progress is not None:
                    progress(len(page))
        return count


def _with_vectors(
    pages: Iterator[tuple[list[Record], NDArray[np.int64], View]],
) -> Iterator[EntryAndVector]:
    for page, rows, view in pages:
        for record, vector in zip(page, view.vectors.take(rows), strict=True):
            yield record.entry(), vector
