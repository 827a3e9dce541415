"""A saved ANN graph: what the database records of it, so that its file is known from any other."""

import json
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

_PIECE_BYTES = 16 << 20


@dataclass(frozen=True, kw_only=True)
class SavedGraph:
    """The record of a saved ANN graph.

    Attributes:
        file: the file's name.
        size_bytes: its size.
        pieces: CRC-32 of each 16 MiB of it.
        covered: the graph covers the rows below this; those that were dead when it was built are not in it.
        members: how many rows are in it.
        strays: rows in it that its links do not lead to.
    """

    file: str
    size_bytes: int
    pieces: tuple[int, ...]
    covered: int
    members: int
    strays: tuple[int, ...]

    def to_json(self) -> str:
        """The record as text for the database."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        facts = json.loads(text)
        return cls(**{**facts, "pieces": tuple(facts["pieces"]), "strays": tuple(facts["strays"])})


def checksums(path: Path, threads: int) -> tuple[int, tuple[int, ...]]:
    """A file's size, and the CRC-32 of each of its pieces, computed in parallel."""
    size_bytes = path.stat().st_size

    def checksum(start: int) -> int:
        with path.open("rb", buffering=0) as file:
            file.seek(start)
            return zlib.crc32(file.read(_PIECE_BYTES))

    with ThreadPoolExecutor(threads) as pool:
        return size_bytes, tuple(pool.map(checksum, range(0, size_bytes, _PIECE_BYTES)))
