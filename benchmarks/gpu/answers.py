"""The answers of runs: a JSON file for each model, whole after each question."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..record import plain, write_result


class Answers:
    """What is known of a model on this GPU.

    Attributes:
        answered: by the question's name, its figures and the seconds that it took.
        failed: by the question's name, why it has no answer.
    """

    def __init__(self, folder: Path, model: str, about: Mapping[str, Any], *, resume: bool) -> None:
        """Begin anew, or go on with what ``folder`` has.

        ``about`` says under which conditions figures hold.

        Raises:
            ValueError: what is there was measured under other conditions.
        """
        self._folder, self._name = folder, f"gpu-contest-{model}"
        self._about = plain({"model": model, **about})
        self.answered: dict[str, Any] = {}
        self.failed: dict[str, str] = {}
        path = folder / f"{self._name}.json"
        if resume and path.is_file():
            before = json.loads(path.read_text(encoding="utf-8"))
            for key, value in self._about.items():
                if before.get(key) != value:
                    raise ValueError(f"{path} has {key} {before.get(key)}, and this run {value}; leave out --resume")
            self.answered, self.failed = before["answers"], before["failed"]

    def add(self, name: str, figures: Mapping[str, Any], *, seconds: float) -> None:
        """Write an answer down."""
        self.failed.pop(name, None)
        self.answered[name] = plain({"seconds": seconds, **figures})
        self._write({name: self.answered[name]}, {})

    def fail(self, name: str, why: str) -> None:
        """Write down that a question has failed; a run that goes on asks it again."""
        self.failed[name] = why
        self._write({name: f"FAILED: {why}"}, {})

    def close(self, not_run: Mapping[str, str]) -> None:
        """Write down which questions were not asked, and why."""
        self._write({}, not_run)

    def _write(self, shown: Mapping[str, Any], not_run: Mapping[str, str]) -> None:
        content = {**self._about, "answers": self.answered, "failed": self.failed, "not_run": dict(not_run)}
        write_result(self._name, content, {}, shown=shown, folder=self._folder)


def known_seconds(results: Iterable[Path]) -> dict[str, float]:
    """What questions took in earlier runs, by their key."""
    seconds = {}
    for path in results:
        content = json.loads(path.read_text(encoding="utf-8"))
        for name, answer in content.get("answers", {}).items():
            seconds[f"{content['model']} {name}"] = answer["seconds"]
    return seconds
