"""Answers with entries, written one by one: other threads run in between, and one that is too large ends early."""

from typing import Any

import msgspec

from ...http.problems import Problem
from .members import Key

# Bytes of an answer's entries, which may repeat, and have texts of any length.
MAX_BYTES = 32_000_000


class HitAnswer(msgspec.Struct, frozen=True):
    """An entry that was found, and its score, by default the cosine of its vector and the query's."""

    key: Key
    score: float
    text: str
    metadata: dict[str, Any] | None


class EntryAnswer(msgspec.Struct, frozen=True):
    """An entry; with its vector where that is asked for, as numbers, or as the base64 of them, little-endian."""

    key: Key
    text: str
    metadata: dict[str, Any] | None
    vector: list[float] | str | msgspec.UnsetType = msgspec.UNSET


class Written:
    """How many bytes an answer's entries take, which are JSON already."""

    def __init__(self) -> None:
        self._bytes = 0

    def fits(self, entry: bytes) -> bool:
        """Count an entry, unless they would be too many bytes. One alone may be of any size."""
        if self._bytes and self._bytes + len(entry) > MAX_BYTES:
            return False
        self._bytes += len(entry)
        return True

    def checked(self, entry: bytes, *, param: str) -> bytes:
        """An entry that fits; Problem for another, of which the member ``param`` asks for so many."""
        if not self.fits(entry):
            raise Problem(
                422, f"the answer would have more than {MAX_BYTES:,} bytes; ask for fewer entries", param=param
            )
        return entry
