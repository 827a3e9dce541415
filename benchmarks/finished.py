"""What was measured before an interruption, and need not be again until the result's file is written."""

import json
from collections.abc import Callable
from typing import Any

from .harness import plain
from .inputs import BENCH

FOLDER = BENCH / "unfinished"


class Finished:
    """Figures of a question whose contestants are measured one after the other."""

    def __init__(self, question: str) -> None:
        self._file = FOLDER / f"{question}.json"
        self._known: dict[str, Any] = json.loads(self._file.read_text("utf-8")) if self._file.is_file() else {}

    def once(self, key: str, measure: Callable[[], Any]) -> Any:
        """What was found under this key, or is found now. The key says all that decides the figure."""
        if key not in self._known:
            self._known[key] = plain(measure())
            FOLDER.mkdir(parents=True, exist_ok=True)
            self._file.write_text(json.dumps(self._known, indent=2) + "\n", encoding="utf-8")
        return self._known[key]

    def close(self) -> None:
        """Forget everything: the result's file is written."""
        self._file.unlink(missing_ok=True)
