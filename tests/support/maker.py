"""Artifacts of small models, each exported once for all tests that read it."""

from pathlib import Path

import pytest

from simcse_export import ExportOptions, export
from simcse_export.texts.corpora import built_in
from support.checkpoints import CORPUS, make_checkpoint


class Maker:
    """Exports a small checkpoint of a family; a family's artifacts lie beside its ``checkpoint``."""

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        self._folders = folders
        self._checkpoints: dict[str, Path] = {}
        self._artifacts: dict[tuple[str, ExportOptions], Path] = {}

    def checkpoint(self, family: str) -> Path:
        if family not in self._checkpoints:
            folder = self._folders.mktemp(family) / "checkpoint"
            self._checkpoints[family] = make_checkpoint(folder, model_type=family)
        return self._checkpoints[family]

    def artifact(self, family: str, options: ExportOptions) -> Path:
        key = family, options
        if key not in self._artifacts:
            folder = self.checkpoint(family).parent / f"artifact-{len(self._artifacts)}"
            export(self.checkpoint(family), folder, options)
            self._artifacts[key] = folder
        return self._artifacts[key]


def short_calibration(folders: pytest.TempPathFactory) -> Path:
    """A calibration file of fewer sentences than the built-in ones, to save time."""
    path = folders.mktemp("calibration") / "mine.txt"
    path.write_text("\n".join([*dict.fromkeys(CORPUS), *built_in("calibration")[::8]]), encoding="utf-8")
    return path
