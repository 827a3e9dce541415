"""Filling an index from files: how far it came, with which keys, and how it goes on."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simcse_engine import Index
from simcse_engine.errors import InputValueError
from simcse_engine.files.blocks import Block
from simcse_engine.index.filling import Filling, Source
from simcse_engine.index.limits import Progress
from support.indexes import SMALL, names, unit_vectors


@pytest.fixture
def index(tmp_path: Path, artifact: Path) -> Iterator[Index]:
    Index.create(tmp_path / "index", artifact).close()
    with Index(tmp_path / "index", limits=SMALL) as opened:
        yield opened


def fill(index: Index, source: Source, progress: Progress | None = None) -> Filling:
    filling = Filling(index, source, progress)
    filling.run()
    return filling


@pytest.fixture
def lines(tmp_path: Path) -> str:
    (tmp_path / "texts.txt").write_text("".join(f"{text}\n" for text in names(50)))
    return str(tmp_path / "texts.txt")


def test_keys_follow_the_first_one(index: Index, lines: str) -> None:
    done: list[int] = []
    filling = fill(index, Source(file=lines), done.append)
    assert (filling.added, filling.safe(), sum(done)) == (50, 50, 50)
    assert filling.resumed_by == Source(file=lines, first_key=0)
    source = Source(file=lines, first_key=100)
    filling = fill(index, source)
    assert (filling.added, filling.resumed_by, len(index)) == (50, source, 100)
    # A free key is asked of the index.
    assert fill(index, Source(file=lines)).resumed_by == Source(file=lines, first_key=150)
    assert [entry.text for entry in index.get([150, 199]) if entry] == ["text 0", "text 49"]


def test_what_is_interrupted_is_resumed(index: Index, tmp_path: Path) -> None:
    # Of several lengths, which take turns, and some of them twice.
    texts = [f"text {i % 250}" + " the cat" * (i % 9) for i in range(600)]
    file = tmp_path / "many.txt"
    file.write_text("".join(f"{text}\n" for text in texts))
    index.add(texts[:40], keys=range(40))
    done: list[int] = []

    def stop(count: int) -> None:
        done.append(count)
        if sum(done) > 200:
            raise KeyboardInterrupt

    filling = Filling(index, Source(file=str(file), first_key=0), stop)
    with pytest.raises(KeyboardInterrupt):
        filling.run()
    # What was encoded is there, though it fills no batch, and lies scattered over the file.
    assert len(done) > 3
    safe = filling.safe()
    assert sum(done) == safe == len(index) < 600
    assert filling.resumed_by == Source(file=str(file), first_key=0)
    streamed: list[int] = []
    assert fill(index, filling.resumed_by, streamed.append).added == 600
    assert streamed[0] == safe
    assert (len(index), index.info().dead) == (600, 0)
    assert [entry.text for entry in index.get(range(600)) if entry] == texts
    # Each text has its own vector: it finds itself.
    for key in (0, 41, 300, 599):
        hits = index.search([texts[key]], k=5)[0]
        assert hits[0].score == pytest.approx(1, abs=1e-5)
        assert texts[key] in [hit.text for hit in hits if hit.score > 1 - 1e-5]


@pytest.mark.parametrize("vectors", [False, True])
def test_a_commit_that_is_not_counted_is_safe(
    index: Index, lines: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vectors: bool
) -> None:
    source = Source(file=lines)
    if vectors:
        np.save(tmp_path / "v.npy", unit_vectors(50))
        source = Source(file=str(tmp_path / "v.npy"), texts=lines)
    index.add_vectors(unit_vectors(3), names(3, 100))
    filling = Filling(index, source)
    count = filling._count

    def stop_before_the_second(added: int) -> None:
        if filling.added:
            raise KeyboardInterrupt
        count(added)

    monkeypatch.setattr(filling, "_count", stop_before_the_second)
    with pytest.raises(KeyboardInterrupt):
        filling.run()
    batch = SMALL.window_texts
    assert (filling.added, filling.safe(), len(index)) == (batch, 2 * batch, 3 + 2 * batch)


def test_an_interruption_between_blocks_counts_nothing_twice(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupting(Block):
        @property
        def texts(self) -> list[str]:  # type: ignore[override]
            raise KeyboardInterrupt

        @texts.setter
        def texts(self, _: list[str]) -> None:
            pass

    @contextlib.contextmanager
    def open_entries(*_: Any, **__: Any) -> Iterator[Iterator[Block]]:
        yield iter([Block(texts=names(20)), Interrupting(texts=names(20, 20))])

    monkeypatch.setattr("simcse_engine.index.filling.open_entries", open_entries)
    filling = Filling(index, Source(file="-"))
    with pytest.raises(KeyboardInterrupt):
        filling.run()
    assert filling.added == filling.safe() == len(index) == 20


def test_keys_of_the_source(index: Index, tmp_path: Path) -> None:
    own = tmp_path / "own.jsonl"
    own.write_text('{"text": "a", "key": 9}\n{"text": "b", "key": 4}\n')
    assert fill(index, Source(file=str(own))).resumed_by == Source(file=str(own))
    assert fill(index, Source(file=str(own), first_key=0)).resumed_by == Source(file=str(own))
    with pytest.raises(InputValueError, match="leave --first-key out"):
        fill(index, Source(file=str(own), first_key=5))


def test_what_the_options_tell_of_keys(lines: str) -> None:
    assert Source(file=lines).resumed_by is None
    assert Source(file=lines, first_key=3).resumed_by == Source(file=lines, first_key=3)
    npy = Source(file="v.npy", texts="t", keys="k", first_key=0)
    assert npy.resumed_by == Source(file="v.npy", texts="t", keys="k")


def test_keys_of_vectors_without_keys(index: Index, tmp_path: Path) -> None:
    file = str(tmp_path / "v.jsonl")
    rows = zip(names(20), unit_vectors(20).tolist(), strict=True)
    Path(file).write_text("".join(f"{json.dumps({'text': text, 'vector': vector})}\n" for text, vector in rows))
    index.add_vectors(unit_vectors(1), ["first"])
    filling = fill(index, Source(file=file))
    # So the same command replaces what is there, and adds nothing twice.
    assert (filling.added, filling.safe(), filling.resumed_by) == (20, 20, Source(file=file, first_key=1))
    assert fill(index, Source(file=file, first_key=1)).added == 20
    assert len(index) == 21
    assert fill(index, Source(file=file, first_key=100)).resumed_by == Source(file=file, first_key=100)
    assert index.get([119]) == [(119, "text 19", None)]


def test_a_table_of_texts_for_vectors(index: Index, tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", unit_vectors(2))
    (tmp_path / "t.csv").write_text("n,body\n1,one\n2,two\n")
    source = Source(file=str(tmp_path / "v.npy"), texts=str(tmp_path / "t.csv"), text_column="body")
    source.check()
    assert fill(index, source).added == 2
    assert [entry.text for entry in index.get([0, 1]) if entry] == ["one", "two"]


def test_how_far_a_file_is_read(index: Index, lines: str) -> None:
    filling = Filling(index, Source(file=lines))
    assert filling.reading is None
    filling.run()
    assert filling.reading is not None
    assert filling.reading.position == filling.reading.total == Path(lines).stat().st_size


def test_vectors(index: Index, lines: str, tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", unit_vectors(50))
    (tmp_path / "keys.txt").write_text("".join(f"{2 * i}\n" for i in range(50)))
    source = Source(file=str(tmp_path / "v.npy"), texts=lines, keys=str(tmp_path / "keys.txt"))
    source.check()
    assert fill(index, source).added == 50
    assert [hit.key for hit in index.search(unit_vectors(50)[[7]], k=1)[0]] == [14]


def test_sources_refused(lines: str, tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", unit_vectors(2))
    npy = str(tmp_path / "v.npy")
    for source, message in (
        (Source(file=npy), "holds no texts; give "),
        (Source(file=lines, texts=lines), "has texts of its own"),
        (Source(file=lines, keys=lines), "--keys is for .npy"),
        (Source(file=npy, texts=lines, keys=lines, first_key=0), "exclude each other"),
        (Source(file="nowhere.txt"), "no such file"),
        (Source(file=npy, texts="nowhere.txt"), "no such file"),
    ):
        with pytest.raises(InputValueError, match=message):
            source.check()
