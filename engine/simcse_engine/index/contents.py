"""Contents: what an index holds, as its callers read it."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..files.entries import create_entries
from ..machine.limits import naming_limits
from .info import IndexInfo, info_of
from .limits import Progress
from .search.views import Views
from .storage.keys import Key
from .storage.records import About, Entry
from .storage.store import Store


class Contents:
    """The half of `simcse_engine.index.Index` that reads what it holds.

    Attributes:
        folder: the index's, as an absolute path.
    """

    folder: Path
    _store: Store
    _views: Views

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
    def get(self, keys: Iterable[Key]) -> list[Entry | None]:
        """The entries under these keys, in their order; None where there is none."""
        checked = self.about.key_kind.checked(keys)
        with self._store.reading() as reader:
            self._views.check_counts(reader)
            entries = {record.key: record.entry() for record in reader.records_of(list(set(checked)))}
            if not all(key in entries for key in checked):
                self._views.check_keys(reader)
        return [entries.get(key) for key in checked]

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
        with (
            create_entries(Path(path), self.about.dimension, self.about.identity, kind.arrow) as write,
            self._views.reading(ann=False) as (reader, view),
        ):
            for page in reader.pages():
                rows, keys, texts, metadata = zip(*page, strict=True)
                write(list(map(kind.in_json, keys)), texts, metadata, view.vectors.take(np.array(rows)))
                count += len(page)
                if progress is not None:
                    progress(len(page))
        return count
