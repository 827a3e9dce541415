"""What the tests of several commands use: a file of texts, and an index of them."""

from pathlib import Path

import pytest

from support.commands import TEXTS, run


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    path = tmp_path / "texts.txt"
    path.write_text("".join(text + "\n" for text in TEXTS))
    return path


@pytest.fixture
def index(artifact: Path, lines: Path, tmp_path: Path) -> Path:
    """An index of `TEXTS` under the keys 0 to 3."""
    assert run("index", "create", tmp_path / "index", artifact, lines) == 0
    return tmp_path / "index"
