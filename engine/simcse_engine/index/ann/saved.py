"""A saved ANN graph: what the database records of it, so that its file is known from any other."""

import hashlib
import json
import math
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import PurePath
from typing import Self

from ...errors import IndexDamagedError

_PIECE_BYTES = 16 << 20
_FIELDS = {"file": str, "size_bytes": int, "pieces": list, "covered": int, "members": int, "strays": list}
# Of i8 alone, so that earlier engines read the records of all others, and take those of i8 for damaged.
_SCALE = {"scale": float}


@dataclass(frozen=True, kw_only=True)
class SavedGraph:
    """The record of a saved ANN graph.

    Attributes:
        file: the file's name.
        size_bytes: its size.
        pieces: SHA-256 of each 16 MiB of it; earlier engines wrote CRC-32.
        covered: the graph covers the rows below this; those that were dead when it was built are not in it.
        members: how many rows are in it.
        strays: rows in it that its links do not lead to.
        scale: what numbers were multiplied by before they were rounded to i8; None in other dtypes, and in i8 graphs of
            earlier engines, which had a scale for each vector and another metric.
    """

    file: str
    size_bytes: int
    pieces: tuple[str | int, ...]
    covered: int
    members: int
    strays: tuple[int, ...]
    scale: float | None = None

    def to_json(self) -> str:
        """The record as text for the database."""
        facts = asdict(self)
        if self.scale is None:
            del facts["scale"]
        return json.dumps(facts)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote, or raise IndexDamagedError."""
        try:
            facts = json.loads(text)
            if {name: type(value) for name, value in facts.items()} not in (_FIELDS, _FIELDS | _SCALE):
                raise ValueError("fields of other names or types")
            record = cls(**{**facts, "pieces": tuple(facts["pieces"]), "strays": tuple(facts["strays"])})
            if PurePath(record.file).name != record.file:
                raise ValueError(f"the file {record.file!r}")
            if not 0 <= record.members <= record.covered:
                raise ValueError(f"{record.members} of {record.covered} rows")
            if not all(type(row) is int and 0 <= row < 1 << 63 for row in record.strays):
                raise ValueError("strays that are no rows")
            if record.scale is not None and not 0 < record.scale < math.inf:
                raise ValueError(f"the scale {record.scale}")
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise IndexDamagedError(f"the database's record of the graph is damaged ({error})") from error
        return record

    @classmethod
    def of(cls, text: str | None) -> Self | None:
        """As `from_json`; None where there is no record, or a damaged one."""
        try:
            return None if text is None else cls.from_json(text)
        except IndexDamagedError:
            return None

    def is_outdated(self, dtype: str) -> bool:
        """Whether an earlier engine built it, of an index of this dtype, in a way that this one does not search."""
        return dtype == "i8" and self.scale is None

    def is_of(self, content: memoryview, threads: int) -> bool:
        """Whether ``content`` is that of the file that was saved."""
        by_crc = bool(self.pieces) and isinstance(self.pieces[0], int)
        return (
            len(content) == self.size_bytes and pieces_of(content, threads, _crc if by_crc else _digest) == self.pieces
        )


def _crc(piece: memoryview) -> int:
    return zlib.crc32(piece)


def _digest(piece: memoryview) -> str:
    return hashlib.sha256(piece).hexdigest()


def pieces_of(
    content: memoryview, threads: int, digest: Callable[[memoryview], str | int] = _digest
) -> tuple[str | int, ...]:
    """The digests of a file's pieces, computed in parallel."""
    pieces = [content[start : start + _PIECE_BYTES] for start in range(0, len(content), _PIECE_BYTES)]
    with ThreadPoolExecutor(threads) as pool:
        return tuple(pool.map(digest, pieces))
