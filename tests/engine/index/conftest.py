"""An index with entries and a saved graph, made once and copied for each test that changes it."""

import shutil
from pathlib import Path

import pytest

from support.indexes import ROWS, filled


@pytest.fixture(scope="session")
def whole(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of `ROWS` entries; not to be changed."""
    folder = tmp_path_factory.mktemp("whole") / "index"
    filled(folder, artifact, ROWS)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy of it, the test's own."""
    return Path(shutil.copytree(whole, tmp_path / "index"))
