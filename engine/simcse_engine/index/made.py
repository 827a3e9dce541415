"""Made: what the making of an index adds to the disk, so that it can be taken back."""

import contextlib
from pathlib import Path

from .storage.lock import LOCK
from .storage.reserve import RESERVE
from .storage.store import DATABASE
from .storage.vectors import vector_file_name

# Of an index without entries; the lock comes last, since it keeps other writers off meanwhile.
_FILES = (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", RESERVE, vector_file_name(1), LOCK)


class Made:
    """A new index's files, and the folders that were missing before it."""

    def __init__(self, folder: Path) -> None:
        """Note what is missing, before the index is made in ``folder``."""
        self._folder = folder
        self._missing = [path for path in (folder, *folder.parents) if not path.exists()]

    def remove(self) -> None:
        """Remove them; a folder that holds anything else by now stays."""
        for name in _FILES:
            (self._folder / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            for path in self._missing:
                path.rmdir()
