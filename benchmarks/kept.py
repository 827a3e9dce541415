"""What an interrupted run need not do again: values by key in a JSON file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .record import BENCH, plain

UNFINISHED = BENCH / "unfinished"


class Kept:
    """Values that are kept until they are forgotten."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    def get(self, key: str) -> Any:
        """The value under this key; None where there is none."""
        return self._values.get(key)

    def once(self, key: str, measure: Callable[[], Any]) -> Any:
        """The value under this key, which is measured and kept if there is none. The key says all that decides it."""
        if key not in self._values:
            self._values[key] = plain(measure())
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(json.dumps(self._values, indent=2) + "\n", encoding="utf-8")
        return self._values[key]

    def forget(self) -> None:
        """Remove the file."""
        self._path.unlink(missing_ok=True)
