"""Reserve: room on the disk that an index keeps for what gives room back.

To remove entries takes room at first: SQLite writes what changes behind what is there, and what its log holds must fit
into the database too before the log can be emptied. So a writer keeps a file beside the database, and gives it up on a
full disk, for a removal or a compaction alone.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from ...files.handles import write_at
from .regular import open_regular

RESERVE = "index.db-reserve"
# Enough for the file that readers share with a writer (32 KB), and for the log of removing some entries at once.
_BYTES = 512 << 10
_BLOCK_BYTES = 32 << 10


class Reserve:
    """The reserve of one index; for its writer alone."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / RESERVE

    def take(self, needed: int, *, more: int = _BYTES) -> None:
        """Take the room that is needed, and more for the log of a removal; OSError if there is less."""
        wanted = more + -(-needed // _BLOCK_BYTES) * _BLOCK_BYTES
        with self._open(os.O_CREAT) as handle:
            facts = os.fstat(handle)
            # A copy of it may be a file of holes; Windows does not tell.
            taken = min(facts.st_size, getattr(facts, "st_blocks", facts.st_size) * 512)
            if taken > wanted:
                os.ftruncate(handle, wanted)
            elif taken < wanted:
                # Random, as some file systems keep no room for zeros.
                block = os.urandom(_BLOCK_BYTES)
                for offset in range(taken, wanted, _BLOCK_BYTES):
                    write_at(handle, block[: wanted - offset], offset)

    def give_up(self) -> None:
        """Give the room back."""
        with contextlib.suppress(FileNotFoundError), self._open() as handle:
            os.ftruncate(handle, 0)

    @contextlib.contextmanager
    def _open(self, flags: int = 0) -> Iterator[int]:
        handle = open_regular(self._path, os.O_RDWR | flags)
        try:
            yield handle
        finally:
            os.close(handle)
