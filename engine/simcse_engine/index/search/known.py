"""Known: entries that were hits before, so that the next search that finds them need not ask the database."""

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...errors import IndexDamagedError
from ..storage.records import decoded
from ..storage.transactions import Reader

# What entries beside their texts and metadata take, in bytes.
_ENTRY_BYTES, _TIMES_METADATA = 400, 4


class KnownEntry(NamedTuple):
    """An entry.

    Attributes:
        key: the entry's.
        text: the entry's.
        metadata: the entry's: nobody else's, if there is nothing within that could be changed; else as JSON.
    """

    key: Any
    text: str
    metadata: dict[str, Any] | str | None

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        metadata = self.metadata
        held = len(metadata) if isinstance(metadata, str) else _TIMES_METADATA * len(str(metadata))
        return _ENTRY_BYTES + len(self.text) + held


def own_metadata(entries: Sequence[KnownEntry]) -> list[dict[str, Any] | None]:
    """The metadata of each, which callers may change."""
    return [
        metadata.copy() if type(metadata) is dict else decoded(key, metadata)  # type: ignore[arg-type]
        for key, _, metadata in entries
    ]


class Known:
    """The entries of one generation's rows, whatever became of them; rows never change. For many threads at once."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._reset(0)

    def _reset(self, generation: int) -> None:
        self._entries: dict[int, KnownEntry] = {}
        self._bytes = 0
        self._generation = generation

    def entries(self, reader: Reader, generation: int, rows: Sequence[int]) -> list[KnownEntry]:
        """The entries of these rows, which the state that ``reader`` sees has.

        Those that are read now are known from then on, as long as there is room.
        """
        with self._lock:
            if generation != self._generation:
                self._reset(generation)
            known = self._entries
        found = list(map(known.get, rows))
        missing = sorted({row for row, entry in zip(rows, found, strict=True) if entry is None})
        if not missing:
            return found  # type: ignore[return-value]
        read = _read(reader, missing)
        with self._lock:
            if known is self._entries:
                self._keep(read)
        return [read[row] if entry is None else entry for row, entry in zip(rows, found, strict=True)]

    def _keep(self, read: dict[int, KnownEntry]) -> None:
        for row, entry in read.items():
            if self._bytes >= self._most_bytes:
                return
            # Another search may have read it at the same time.
            if row not in self._entries and self._bytes + entry.size <= self._most_bytes:
                self._entries[row] = entry
                self._bytes += entry.size


def _read(reader: Reader, rows: list[int]) -> dict[int, KnownEntry]:
    found = reader.columns(rows)
    if len(found.rows) < len(rows):
        row = np.setdiff1d(rows, np.array(found.rows, np.int64))[0]
        raise IndexDamagedError(f"{reader.path}: vector {row} has no entry; restore the database from a backup")
    entries = zip(found.keys, found.texts, found.metadata, found.documents(), strict=True)
    return {
        row: KnownEntry(key, text, document if document is None or _is_flat(document) else metadata)
        for row, (key, text, metadata, document) in zip(found.rows, entries, strict=True)
    }


def _is_flat(document: dict[str, Any]) -> bool:
    return not any(isinstance(value, (dict, list)) for value in document.values())
