"""An index with entries and a saved graph, made once and copied for each test that changes it."""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from simcse_engine import Encoder, Index
from support.indexes import ROWS, SMALL, filled


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


@pytest.fixture
def index(folder: Path) -> Iterator[Index]:
    """Row i has key i, "text i" and {"n": i}."""
    with Index(folder, limits=SMALL) as opened:
        yield opened


@pytest.fixture
def streamed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that are encoded from now on, as they are."""
    texts: list[str] = []
    stream = Encoder.stream_or_rescue

    def noting(self: Encoder, given: Iterable[str], *others: Any) -> Iterator[Any]:
        return stream(self, (texts.append(text) or text for text in given), *others)  # type: ignore[func-returns-value]

    monkeypatch.setattr(Encoder, "stream_or_rescue", noting)
    return texts
