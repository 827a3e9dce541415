"""Search by words, and by words and vectors together."""

import contextlib
import shutil
import sqlite3
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from simcse_engine import Index
from simcse_engine.errors import IndexDamagedError, InputTypeError, InputValueError, SearchIndexError
from simcse_engine.index.search.queries import Mode
from simcse_engine.index.storage.records import Record
from support.indexes import SMALL, unit_vectors

TEXTS = ["a cat sat", "a dog ran", "the pump raised ERR-4711", "日本語の文法", "nothing"]


@pytest.fixture(scope="module")
def worded(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of `TEXTS` that has keywords; not to be changed."""
    folder = tmp_path_factory.mktemp("worded") / "index"
    with Index.create(folder, artifact, keywords=True) as index:
        index.add(TEXTS, metadata=[{"n": i} for i in range(len(TEXTS))])
    return folder


@pytest.fixture
def folder(worded: Path, tmp_path: Path) -> Path:
    """A copy of it, the test's own."""
    return Path(shutil.copytree(worded, tmp_path / "index"))


def keys(index: Index, query: str, k: int = 5, **options: object) -> list[int]:
    return [hit.key for hit in index.search([query], k, **options)[0]]


def test_words_find_what_holds_them(worded: Path) -> None:
    with Index.open(worded, read_only=True) as index:
        assert keys(index, "err 4711", mode="keywords") == [2]
        assert keys(index, "dog CAT", mode="keywords") == [0, 1]
        assert keys(index, "dog cat", mode="keywords", where={"n": {"$gt": 0}}) == [1]
        assert keys(index, "dog cat", 1, mode="keywords") == [0]
        assert keys(index, "文法", mode="keywords") == [3]
        assert keys(index, "absent", mode="keywords") == keys(index, "", mode="keywords") == []
        assert index.search([], mode="keywords") == index.search([], mode="hybrid") == []


def test_hybrid_finds_what_either_does(worded: Path) -> None:
    with Index.open(worded, read_only=True) as index:
        query = "ERR-4711"
        near = [hit.key for hit in index.search([query])[0]]
        hits = index.search([query], mode="hybrid")[0]
        assert {hit.key for hit in hits} == set(range(len(TEXTS)))
        assert hits[0].key == 2
        assert hits[0].score == pytest.approx(1 / 3 + 1 / (3 + near.index(2)))
        assert [hit.text for hit in hits] == [TEXTS[hit.key] for hit in hits]
        # Without a word in common, the order is that of the cosines.
        assert keys(index, "\0", mode="hybrid") == keys(index, "\0")


def test_vectors_are_joined_with_words_that_are_given(worded: Path) -> None:
    with Index.open(worded, read_only=True) as index:
        vectors = unit_vectors(2)
        hits = index.search(vectors, 1, mode="hybrid", keywords=["dog", "pump"])
        assert [[hit.key for hit in each] for each in hits] == [[1], [2]]
        assert [each[0].key for each in index.search(["x", "y"], mode="keywords", keywords=["dog", "pump"])] == [1, 2]


@pytest.mark.parametrize("kind", ["str", "uuid"])
def test_keys_of_every_kind(tmp_path: Path, artifact: Path, kind: str) -> None:
    given = [f"page {i}" if kind == "str" else UUID(int=9 - i) for i in range(len(TEXTS))]
    with Index.create(tmp_path / "index", artifact, keys=kind, keywords=True) as index:
        index.add(TEXTS, keys=given)
        # Equal scores are in the order of keys, and those of these UUIDs fall.
        assert keys(index, "cat dog", mode="keywords") == sorted(given[:2])
        assert keys(index, "ERR-4711", 1, mode="hybrid") == [given[2]]
        index.remove([given[0]])
        index.add(["a cat and a pump"], keys=[given[2]])
        assert keys(index, "cat", mode="keywords") == keys(index, "cat", 1, mode="hybrid") == [given[2]]
        assert keys(index, "4711", mode="keywords") == []


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"mode": "words"}, InputValueError, "mode='words': choose 'vector', 'keywords' or 'hybrid'"),
        ({"mode": "hybrid", "threshold": 0.5}, InputValueError, "threshold=0.5 is of cosines, by which mode='hybrid'"),
        ({"mode": "keywords"}, InputTypeError, "queries are vectors, which have no words"),
        ({"mode": "hybrid", "keywords": "dog"}, InputTypeError, "keywords is one str"),
        ({"mode": "hybrid", "keywords": []}, InputValueError, "keywords has 0 for 1 queries"),
        ({"mode": "hybrid", "keywords": ["\ud800"]}, InputValueError, "lone surrogate"),
        ({"keywords": ["dog"]}, InputValueError, "by default, vectors alone count"),
    ],
)
def test_what_cannot_be_asked(worded: Path, options: dict, error: type[Exception], message: str) -> None:
    with Index.open(worded, read_only=True) as index, pytest.raises(error, match=message):
        index.search(unit_vectors(1), **options)


@pytest.mark.parametrize("mode", ["keywords", "hybrid"])
def test_lists_of_floats_are_no_texts(worded: Path, mode: Mode) -> None:
    with Index.open(worded, read_only=True) as index:
        for queries, options, name in (
            (unit_vectors(1).tolist(), {}, "queries"),
            (unit_vectors(1), {"keywords": [5]}, "keywords"),
        ):
            with pytest.raises(
                InputTypeError, match=rf"{name}\[0\] is \w+; expected a text, since mode='{mode}' searches"
            ):
                index.search(queries, mode=mode, **options)


@pytest.mark.parametrize("flag", [1, None, "words"])
def test_keywords_is_a_flag(tmp_path: Path, artifact: Path, flag: object) -> None:
    with pytest.raises(InputTypeError, match="keywords="):
        Index.create(tmp_path / "index", artifact, keywords=flag)
    assert not (tmp_path / "index").exists()


def test_an_index_without_gets_one_later(tmp_path: Path, artifact: Path) -> None:
    with Index.create(tmp_path / "index", artifact) as index, Index.open(tmp_path / "index") as other:
        index.add(TEXTS)
        index.remove([0])
        with pytest.raises(SearchIndexError, match=r"no index of its words; build_keywords\(\) makes one"):
            index.search(["dog"], mode="hybrid")
        assert other.about.format == 1
        index.build_keywords()
        assert index.about.keywords
        # Also in an index that was opened before, by whoever writes next.
        index.close()
        other.add(["another dog"])
        assert sorted(keys(other, "dog cat", mode="keywords")) == [1, 5]
    with Index.open(tmp_path / "index") as index:
        assert index.about.keywords
        assert index.about.format == 2
        assert sorted(keys(index, "dog cat", mode="keywords")) == [1, 5]


def test_an_interrupted_addition_leaves_no_words(folder: Path) -> None:
    with Index(folder, limits=SMALL) as index:
        with contextlib.suppress(ZeroDivisionError), index._store.writing() as change:
            change.bury([1])
            change.insert([Record(5, 5, "an owl", None)])
            raise ZeroDivisionError
        assert keys(index, "dog owl", mode="keywords") == [1]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE keywords_data SET block = zeroblob(9) WHERE id > 10",
        "DELETE FROM keywords_data WHERE id > 10",
        "DELETE FROM keywords_docsize WHERE id = 1",
        "INSERT INTO keywords_docsize VALUES (77, x'01')",
        "DELETE FROM keywords_data WHERE id = 1",
    ],
)
def test_damage_is_told_and_mended(folder: Path, damage: str) -> None:
    connection = sqlite3.connect(folder / "index.db", isolation_level=None)
    connection.execute(damage)
    connection.close()
    with Index.open(folder, read_only=True) as index:
        with pytest.raises(IndexDamagedError, match=r"index of its words .*build_keywords\(\) builds it again"):
            index.search(["dog cat"], mode="keywords")
        # By vectors, it is what it was.
        assert len(index.search(["dog cat"])[0]) == len(TEXTS)
    with Index.open(folder) as index:
        index.build_keywords()
        assert keys(index, "dog cat", mode="keywords") == [0, 1]


@pytest.mark.parametrize("damage", ["DELETE FROM keywords_docsize WHERE id = 1", "DELETE FROM entries WHERE row = 4"])
def test_no_entry_changes_while_words_are_out_of_step(folder: Path, damage: str) -> None:
    """FTS5 would take out of its index what is not in it, or keep what is there no more."""
    with Index.open(folder) as index:
        index.remove([2])
    connection = sqlite3.connect(folder / "index.db", isolation_level=None)
    connection.execute(damage)
    connection.close()
    if "entries" in damage:
        # As an engine would that does not know of words.
        connection = sqlite3.connect(folder / "index.db", isolation_level=None)
        connection.execute("INSERT INTO dead (row) VALUES (4)")
        connection.close()
    with Index.open(folder) as index:
        left = len(index)
        for change in (
            lambda: index.add(["a new dog"]),
            lambda: index.remove([0]),
            lambda: index.remove(where={"kept": None}),
            lambda: index.update([0], [{"kept": True}]),
        ):
            with pytest.raises(IndexDamagedError, match=r"index of its words .*build_keywords\(\) builds it again"):
                change()
        assert len(index) == left
        index.build_keywords()
        index.remove([0])
        (key,) = index.add(["a new dog"])
        assert sorted(keys(index, "dog cat", mode="keywords")) == [1, key]


def test_compaction_mends_it_too(folder: Path) -> None:
    connection = sqlite3.connect(folder / "index.db", isolation_level=None)
    connection.execute("DELETE FROM keywords_docsize WHERE id = 1")
    connection.close()
    with Index.open(folder) as index:
        index.compact()
        assert keys(index, "dog cat", mode="keywords") == [0, 1]


def test_a_row_that_never_was(folder: Path) -> None:
    connection = sqlite3.connect(folder / "index.db", isolation_level=None)
    # With the sums of the rows that they replace.
    connection.execute("INSERT INTO keywords (rowid, text) VALUES (1000003, 'dog'), (-999999, 'dog')")
    connection.execute(f"INSERT INTO keywords (keywords, rowid, text) VALUES ('delete', 0, '{TEXTS[0]}')")
    connection.execute(f"INSERT INTO keywords (keywords, rowid, text) VALUES ('delete', 4, '{TEXTS[4]}')")
    connection.close()
    with Index.open(folder) as index, pytest.raises(IndexDamagedError, match="rows that never were"):
        index.search(["dog"], mode="keywords")


@pytest.mark.parametrize(
    "statements",
    [
        ["DROP TABLE keywords"],
        ["DROP TABLE keywords", "CREATE TABLE keywords (text)"],
        ["DROP TABLE keywords", "CREATE VIRTUAL TABLE keywords USING fts5(text)"],
    ],
)
def test_another_table_in_its_place(folder: Path, statements: list[str]) -> None:
    connection = sqlite3.connect(folder / "index.db", isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()
    with pytest.raises(IndexDamagedError, match="'keywords' is missing or another's"):
        Index.open(folder)


def test_words_stay_in_step_through_everything(folder: Path) -> None:
    """FTS5's own check compares what it holds; a count of each word, what it should."""
    with Index(folder, limits=SMALL) as index:
        rng = np.random.default_rng(0)
        for step in range(30):
            some = rng.choice(40, 6, replace=False).tolist()
            index.add_vectors(unit_vectors(6, step), [f"word{key % 3} 文{step}字 {key}" for key in some], keys=some)
            index.remove(rng.choice(40, 2).tolist())
            if step % 10 == 9:
                index.compact()
        living = {entry.key for entry in index.get(range(40)) if entry is not None and "字" in entry.text}
        assert set(keys(index, "字", 99, mode="keywords")) == living
        with index._store.writing() as change:
            change._connection.execute("INSERT INTO keywords (keywords) VALUES ('integrity-check')")


def test_a_capital_that_sqlite_does_not_know_is_found(folder: Path) -> None:
    with Index.open(folder) as index:
        (key,) = index.add_vectors(unit_vectors(1, 9), ["ᎠᎡ"])
        (hits,) = index.search(unit_vectors(1), 3, mode="keywords", keywords=["ᎠᎡ"])
        assert [hit.key for hit in hits] == [key]


def test_words_that_another_engine_did_not_keep_are_told(folder: Path) -> None:
    with contextlib.closing(sqlite3.connect(folder / "index.db")) as database, database:
        # As an engine would that knows nothing of words: a text replaced, the counts as before.
        (row,) = database.execute("SELECT max(row) FROM entries").fetchone()
        database.execute("UPDATE keywords_docsize SET id = ? WHERE id = ?", (row + 1000, row))
    with Index.open(folder) as index, pytest.raises(IndexDamagedError, match="the index of its words"):
        index.search(unit_vectors(1), mode="keywords", keywords=["text"])
