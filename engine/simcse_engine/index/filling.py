"""Filling: adding what a file holds, under keys that let an interrupted filling go on."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import InputValueError
from ..files.blocks import Block
from ..files.new_entries import NPY, check_seekable, check_texts_given, open_entries, read_keys
from ..files.opening import STDIN, suffix_of
from ..files.reading import Reading
from ..files.texts import open_texts
from ..inputs import part_of
from .index import Index
from .limits import Progress
from .storage.keys import Key


@dataclass(frozen=True, kw_only=True)
class Source:
    """What an index is filled from.

    Attributes:
        file: a path, or "-" for stdin; `Index.add_from` explains the files.
        texts: the file of an `.npy` file's texts.
        keys: the file of an `.npy` file's keys.
        first_key: the first text's key, which the next ones follow; None for a free one.
        text_column: the field or column of the texts, if it is not "text".
    """

    file: str
    texts: str | None = None
    keys: str | None = None
    first_key: int | None = None
    text_column: str | None = None

    @property
    def resumed_by(self) -> "Source | None":
        """What an interrupted filling goes on from, as far as the options tell the keys."""
        if self.keys is not None:
            return replace(self, first_key=None)
        return None if self.first_key is None else self

    def check(self) -> None:
        """Raise InputValueError for options that contradict each other, and for a file that cannot be read.

        A file may be a pipe, unless it is `.npy`, `.parquet` or `.arrow`.
        """
        check_texts_given(self.file, self.texts is not None)
        if self.keys is not None and suffix_of(self.file) != NPY:
            raise InputValueError(f"{self.file}: --keys is for .npy; other files bring their keys themselves")
        if self.keys is not None and self.first_key is not None:
            raise InputValueError("--keys and --first-key exclude each other")
        for name in (self.file, self.texts, self.keys):
            if name is None or name == STDIN:
                continue
            if not Path(name).exists():
                raise InputValueError(f"{name}: no such file")
            check_seekable(name)


class Filling:
    """Adds what a source holds to an index.

    Attributes:
        added: how many entries were committed, as far as they are counted; see `safe`.
        read: how many entries the file has had so far.
        resumed_by: the source to go on from after an interruption, so that nothing is added or encoded twice; None as
            long as the keys are not known.
        reading: the open file, which tells how far it has been read; None before it is open.
    """

    def __init__(self, index: Index, source: Source, progress: Progress | None = None) -> None:
        """Prepare to fill; ``progress`` is called with a number of entries whenever so many more need no more work."""
        self.added = 0
        self.read = 0
        self.resumed_by = source.resumed_by
        self.reading: Reading[Block] | None = None
        self._index = index
        self._source = source
        self._progress = progress
        self._has_vectors = False
        self._before = index._store.state()
        self._kind = index.about.key_kind
        # Made here, and not by the index, so that each entry's key is known after an interruption.
        self._first_key = self._before.next_key if source.first_key is None else source.first_key
        self._keys: Iterator[Key] = self._kind.series(self._first_key)
        # How many entries came before the block that is being added, and its keys and texts. One object, since Ctrl-C
        # may come between two assignments.
        self._block: tuple[int, list[tuple[Key, str]]] = (0, [])

    def run(self) -> None:
        """Add everything. Every error, and Ctrl-C, leaves what was committed."""
        source, texts, text_column = self._source, None, self._source.text_column
        if source.first_key is not None and not self._kind.counted:
            raise InputValueError(f"--first-key is for whole numbers; the keys of this index are {self._kind.plural}")
        if source.texts is not None:
            with open_texts(source.texts, text_column) as lines:
                texts, text_column = list(lines), None
            if source.keys is not None:
                self._keys = iter(self._kind.checked(read_keys(source.keys, self._kind), len(texts)))
        with open_entries(source.file, self._kind, texts=texts, text_column=text_column) as self.reading:
            for block in self.reading:
                self._add(block)

    def _add(self, block: Block) -> None:
        if block.keys is None:
            keys = list(itertools.islice(self._keys, len(block.texts)))
            if self._kind.counted:
                self.resumed_by = self.resumed_by or replace(self._source, first_key=self._first_key)
        elif self._source.first_key not in (None, 0):
            raise InputValueError(f"{self._source.file}: has keys of its own; leave --first-key out")
        else:
            keys = block.keys
            self.resumed_by = replace(self._source, first_key=None)
        self.read += len(block.texts)
        self._has_vectors = block.vectors is not None
        self._block = (self.added, list(zip(keys, block.texts, strict=True)))
        with part_of(self._source.file, self.added, len(block.texts)):
            self._index._adding.block(block, keys, self._count, self._progress)

    def safe(self) -> int:
        """How many entries are committed, counted or not: Ctrl-C may have come between a commit and its count."""
        if self._has_vectors:
            # Each vector has taken a row.
            return self._index._store.state().rows - self._before.rows
        start, block = self._block
        entries = self._index.get(key for key, _ in block)
        # With gaps: runs end in the order of their lengths.
        stored = (entry is not None and entry.text == text for entry, (_, text) in zip(entries, block, strict=True))
        return start + sum(stored)

    def _count(self, added: int) -> None:
        self.added += added
        if self._progress is not None and self._has_vectors:
            self._progress(added)
