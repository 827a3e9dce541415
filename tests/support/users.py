"""Other users, for tests of what permissions refuse."""

import tempfile
from pathlib import Path


def let_others_in(folder: Path) -> None:
    """Let every user read a test's folder, and enter those above it as far as they are the tests' own."""
    temporary = Path(tempfile.gettempdir())
    for path in (folder, *folder.parents):
        if path == temporary or not path.is_relative_to(temporary):
            return
        path.chmod(path.stat().st_mode | 0o055)
