"""Filling: adding what a file holds, under keys that let an interrupted filling go on."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import InputValueError
from ..files.new_entries import has_vectors, open_entries, read_keys
from ..files.texts import STDIN, open_texts
from ..inputs import part_of
from .index import Index
from .writer import Progress

# Texts that are in memory at once; the index commits smaller batches.
_CHUNK_TEXTS = 65_536


@dataclass(frozen=True, kw_only=True)
class Source:
    """What an index is filled from.

    Attributes:
        file: a path, or "-" for stdin: of texts (`open_entries`), or of vectors (`Index.add_from`).
        texts: the file of an `.npy` file's texts.
        keys: the file of an `.npy` file's keys.
        first_key: the first text's key, which the next ones follow; None for a free one.
    """

    file: str
    texts: str | None = None
    keys: str | None = None
    first_key: int | None = None

    @property
    def _is_npy(self) -> bool:
        return self.file.lower().endswith(".npy")

    @property
    def _brings_keys(self) -> bool:
        """Whether it is a file of vectors that itself knows whether it has keys, and which."""
        return not self._is_npy and has_vectors(self.file)

    @property
    def resumed_by(self) -> "Source | None":
        """What an interrupted filling goes on from, as far as the options tell the keys."""
        if self.keys is not None:
            return replace(self, first_key=None)
        return None if self.first_key is None or self._brings_keys else self

    def check(self) -> None:
        """Raise InputValueError for options that contradict each other, and for a file that does not exist."""
        if self._is_npy != (self.texts is not None):
            advice = "give its texts with --texts FILE" if self._is_npy else "--texts is for .npy"
            raise InputValueError(f"{self.file}: {advice}")
        if self.keys is not None and not self._is_npy:
            raise InputValueError(f"{self.file}: --keys is for .npy; other files bring their keys themselves")
        if self.keys is not None and self.first_key is not None:
            raise InputValueError("--keys and --first-key exclude each other")
        for name in (self.file, self.texts, self.keys):
            if name not in (None, STDIN) and not Path(name).exists():
                raise InputValueError(f"{name}: no such file")
        if self.first_key is not None and self._brings_keys:
            raise InputValueError(f"{self.file}: brings its keys, if any, itself; leave --first-key out")


class Filling:
    """Adds what a source holds to an index.

    Attributes:
        added: how many entries were committed, as far as they are counted; see `safe`.
        resumed_by: the source to go on from after an interruption, so that nothing is added or encoded twice; None as
            long as the keys are not known.
    """

    def __init__(self, index: Index, source: Source, progress: Progress | None = None) -> None:
        """Prepare to fill; ``progress`` is called with a number of entries whenever so many more are committed."""
        self.added = 0
        self.resumed_by = source.resumed_by
        self._index = index
        self._source = source
        self._progress = progress
        self._has_vectors = has_vectors(source.file)
        self._before = index._store.state()
        # How many entries came before the chunk that is being added, and its keys and texts. One object, since Ctrl-C
        # may come between two assignments.
        self._chunk: tuple[int, list[tuple[int, str]]] = (0, [])

    def run(self) -> None:
        """Add everything. Every error, and Ctrl-C, leaves what was committed."""
        if self._has_vectors:
            self._add_vectors()
        else:
            self._add_texts()

    def safe(self) -> int:
        """How many entries are committed, counted or not: Ctrl-C may have come between a commit and its count."""
        if self._has_vectors:
            # Each vector has taken a row.
            return self._index._store.state().rows - self._before.rows
        start, chunk = self._chunk
        uncounted = chunk[self.added - start :]
        entries = self._index.get(key for key, _ in uncounted)
        stored = (entry is not None and entry.text == text for entry, (_, text) in zip(entries, uncounted, strict=True))
        return self.added + sum(itertools.takewhile(bool, stored))

    def _count(self, added: int) -> None:
        self.added += added
        if self._progress is not None:
            self._progress(added)

    def _add_vectors(self) -> None:
        source = self._source
        texts: list[str] | None = None
        keys: Iterable[int] | None = None
        if source.texts is not None:
            with open_texts(source.texts) as lines:
                texts = list(lines)
            if source.keys is not None:
                keys = read_keys(source.keys)
            elif source.first_key is not None:
                keys = range(source.first_key, source.first_key + len(texts))
        self._index.add_from(source.file, texts=texts, keys=keys, progress=self._count)

    def _add_texts(self) -> None:
        first_key = self._source.first_key
        # Counted here, and not by the index, so that each line's key is known after an interruption.
        next_key = self._before.next_key if first_key is None else first_key
        own_keys: bool | None = None
        read = 0
        with open_entries(self._source.file) as entries:
            while chunk := list(itertools.islice(entries, _CHUNK_TEXTS)):
                with_key = sum(entry.key is not None for entry in chunk)
                if with_key not in (0, len(chunk)) or own_keys not in (None, bool(with_key)):
                    raise InputValueError('some lines have a "key" and some have none; give all of them one, or none')
                own_keys = bool(with_key)
                if own_keys and first_key not in (None, 0):
                    raise InputValueError("the file has keys of its own; leave --first-key out")
                if self.resumed_by is None or own_keys:
                    self.resumed_by = replace(self._source, first_key=None if own_keys else next_key)
                keys = [next_key + i if entry.key is None else entry.key for i, entry in enumerate(chunk)]
                next_key += len(chunk)
                self._chunk = (self.added, [(key, entry.text) for key, entry in zip(keys, chunk, strict=True)])
                with part_of(self._source.file, read, len(chunk)):
                    self._index.add(
                        [entry.text for entry in chunk],
                        keys=keys,
                        metadata=[entry.metadata for entry in chunk],
                        progress=self._count,
                    )
                read += len(chunk)
