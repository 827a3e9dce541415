"""Filling: adding what a file holds, under keys that let an interrupted filling go on."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from ..errors import InputValueError
from ..files.new_entries import NewEntry, has_vectors, open_entries, read_keys
from ..files.texts import STDIN, open_texts
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
    def brings_keys(self) -> bool:
        """Whether it is a file of vectors that itself knows whether it has keys, and which."""
        return not self._is_npy and has_vectors(self.file)

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
        if self.first_key is not None and self.brings_keys:
            raise InputValueError(f"{self.file}: brings its keys, if any, itself; leave --first-key out")


@dataclass(kw_only=True)
class Filled:
    """How far a filling came.

    Attributes:
        source: what it fills from.
        own_keys: whether the source brings the keys.
        first_key: else the first text's key, which the next ones follow; None as long as it is not known.
        added: how many entries are safe.
    """

    source: Source
    own_keys: bool
    first_key: int | None
    added: int = 0

    @classmethod
    def nothing(cls, source: Source) -> Self:
        """Before the beginning."""
        first_key = None if source.keys is not None or source.brings_keys else source.first_key
        return cls(source=source, own_keys=source.keys is not None, first_key=first_key)

    @property
    def resumed_by(self) -> Source | None:
        """The source to fill from after an interruption, so that nothing is added or encoded twice.

        None if the keys are not known.
        """
        if not self.own_keys and self.first_key is None:
            return None
        return replace(self.source, first_key=None if self.own_keys else self.first_key)


class FillingInterrupted(KeyboardInterrupt):
    """Ctrl-C stopped a filling.

    Attributes:
        filled: how far it came.
    """

    def __init__(self, filled: Filled) -> None:
        super().__init__()
        self.filled = filled


def fill(index: Index, source: Source, progress: Progress | None = None) -> Filled:
    """Add what a file holds.

    Args:
        index: what to add to.
        source: where the entries come from.
        progress: called with a number of entries whenever so many more are safe.

    Raises:
        FillingInterrupted: Ctrl-C. Like every other error, it leaves what was committed.
        InputValueError: the file cannot be read, or brings keys that contradict each other or the source.
        SimCSEError: as for `Index.add` and `Index.add_from`.
    """
    filled = Filled.nothing(source)

    def count(added: int) -> None:
        filled.added += added
        if progress is not None:
            progress(added)

    try:
        if has_vectors(source.file):
            _add_vectors(index, source, count)
        else:
            with open_entries(source.file) as entries:
                while chunk := list(itertools.islice(entries, _CHUNK_TEXTS)):
                    _add_texts(index, chunk, filled, count)
    except KeyboardInterrupt as interrupt:
        raise FillingInterrupted(filled) from interrupt
    return filled


def _add_vectors(index: Index, source: Source, progress: Progress) -> None:
    if source.texts is None:
        index.add_from(source.file, progress=progress)
        return
    with open_texts(source.texts) as lines:
        texts = list(lines)
    keys: Iterable[int] | None = None
    if source.keys is not None:
        keys = read_keys(source.keys)
    elif source.first_key is not None:
        keys = range(source.first_key, source.first_key + len(texts))
    index.add_from(source.file, texts=texts, keys=keys, progress=progress)


def _add_texts(index: Index, chunk: list[NewEntry], filled: Filled, progress: Progress) -> None:
    """Add the next entries of a file of texts."""
    with_key = sum(entry.key is not None for entry in chunk)
    if with_key not in (0, len(chunk)) or (filled.added and filled.own_keys != bool(with_key)):
        raise InputValueError('some lines have a "key" and some have none; give all of them one, or none')
    filled.own_keys = bool(with_key)
    if filled.own_keys and filled.source.first_key not in (None, 0):
        raise InputValueError("the file has keys of its own; leave --first-key out")
    if not filled.own_keys and filled.first_key is None:
        # The first text alone: the index tells which key is free, and the next ones count up from there, so that each
        # line's key is known after an interruption.
        first, *chunk = chunk
        filled.first_key = index.add([first.text], metadata=[first.metadata], progress=progress)[0]
    start = (filled.first_key or 0) + filled.added
    index.add(
        [entry.text for entry in chunk],
        keys=[start + i if entry.key is None else entry.key for i, entry in enumerate(chunk)],
        metadata=[entry.metadata for entry in chunk],
        progress=progress,
    )
