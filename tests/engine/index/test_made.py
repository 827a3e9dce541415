"""An index whose making came to nothing."""

from pathlib import Path
from typing import Any

import pytest

from simcse_engine import Index, SimCSE
from simcse_engine.errors import IndexLockedError, OutputError
from simcse_engine.index.writing import Writing


def test_a_making_that_fails_leaves_nothing(artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    (tmp_path / "empty").mkdir()
    with monkeypatch.context() as patched:
        patched.setattr("simcse_engine.index.index.register", interrupted)
        for place in ("new", "deep/new", "empty"):
            with pytest.raises(KeyboardInterrupt):
                Index.create(tmp_path / place, artifact)
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
    assert not any((tmp_path / "empty").iterdir())
    Index.create(tmp_path / "empty", artifact).close()


def test_whoever_opens_a_new_index_first_keeps_it(
    artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its appearance and its maker's own opening."""
    quicker = []

    def writing(*arguments: Any, **options: Any) -> Writing:
        if not quicker:
            quicker.append(None)
            quicker[0] = Index.open(tmp_path / "index", read_only=False)
        return Writing(*arguments, **options)

    monkeypatch.setattr("simcse_engine.index.index.Writing", writing)
    with pytest.raises(IndexLockedError):
        Index.create(tmp_path / "index", artifact)
    with quicker[0] as index:
        index.add(["a"])
    with Index.open(tmp_path / "index") as index:
        assert len(index) == 1


def test_only_a_new_index_without_entries_is_taken_back(artifact: Path, tmp_path: Path) -> None:
    with Index.create(tmp_path / "index", artifact) as index:
        (tmp_path / "index" / "notes.txt").write_text("mine")
        assert index.take_back()
    assert [path.name for path in (tmp_path / "index").iterdir()] == ["notes.txt"]
    with Index.create(tmp_path / "other", artifact) as index:
        index.add(["a"])
        assert not index.take_back()
        assert len(index) == 1
        index.remove([0])
    with Index.open(tmp_path / "other", read_only=False) as index:
        assert not index.take_back()
    # What is there already is not touched.
    with pytest.raises(OutputError):
        Index.create(tmp_path / "other", artifact)
    assert (tmp_path / "other" / "index.db").exists()


def test_a_class_that_builds_no_index_keeps_the_one_before(
    artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with SimCSE(artifact) as model:
        model.build_index(["a cat"])
        before = sorted(path.name for path in tmp_path.iterdir())
        with pytest.raises(ValueError, match="surrogate"):
            model.build_index(["\ud800"])
        assert sorted(path.name for path in tmp_path.iterdir()) == before
        assert model.search("a cat") == [("a cat", pytest.approx(1))]
    assert not any(tmp_path.iterdir())
