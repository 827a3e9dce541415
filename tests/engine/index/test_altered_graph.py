"""A graph whose file is altered while its index is open: told once, done without, and built again."""

import warnings
from pathlib import Path

import pytest

from simcse_engine import Hit, Index, IndexWarning
from simcse_engine.machine.kernels import VARIABLE
from support.indexes import DIMENSION, ROWS, SMALL, filled, unit_vectors
from support.ways import variants

NODES = 8 + ROWS * DIMENSION + 64 + 40 + 2 * ROWS

QUERIES = unit_vectors(15, 3)


@pytest.fixture
def folder(tmp_path: Path, artifact: Path) -> Path:
    filled(tmp_path / "index", artifact, ROWS, dtype="i8")
    return tmp_path / "index"


def alter_nodes(folder: Path) -> None:
    (path,) = folder.glob("graph-*")
    with path.open("r+b") as file:
        file.seek(NODES)
        file.write(b"\xff" * (path.stat().st_size - NODES))


def search(index: Index, *, exact: bool = False) -> list[list[Hit]]:
    return index.search(QUERIES, k=3, exact=exact)


@pytest.mark.skipif(not variants(), reason="USearch, which searches where there are no kernels for a CPU, would crash")
@pytest.mark.parametrize("read_only", [True, False])
def test_a_search_goes_on_exactly(monkeypatch: pytest.MonkeyPatch, folder: Path, read_only: bool) -> None:
    monkeypatch.setenv(VARIABLE, variants()[0])
    with Index(folder, limits=SMALL, read_only=read_only) as index:
        expected = search(index, exact=True)
        assert search(index) == expected
        alter_nodes(folder)
        with pytest.warns(IndexWarning, match=r"altered while it was searched; .*checkpoint\(\)") as caught:
            assert search(index) == expected
        # Of several groups of queries, one.
        assert len(caught) == 1
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert search(index) == expected
        assert index._views.ann is None
        if not read_only:
            index.checkpoint()
            assert index._views.ann is not None
            assert search(index) == expected
    if not read_only:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Index.open(folder, read_only=True) as index:
                assert search(index) == expected
