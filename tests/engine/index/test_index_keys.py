"""Indexes whose keys are strings or UUIDs, in all that can be done with keys."""

import contextlib
import csv
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from simcse_engine import Encoder, Hit, Index
from simcse_engine.errors import IndexDamagedError, InputTypeError, InputValueError
from simcse_engine.files.new_entries import read_keys
from simcse_engine.index.copying import copy_index
from simcse_engine.index.filling import Filling, Source
from simcse_engine.index.storage.key_kinds import KEY_KINDS
from simcse_engine.index.storage.records import Entry, record_checksum
from support.indexes import SMALL, names, unit_vectors

# In another order than their numbers.
KEYS: dict[str, Callable[[int], Any]] = {
    "int": int,
    "str": "{0:03}\u202e' \"😀 {0}".format,
    "uuid": lambda number: UUID(int=(number * 0x9E3779B97F4A7C15F39CC0605CEDC835) % 2**128),
}
HOSTILE = ["123", "0123", " 123 ", "'; DROP TABLE entries; --", '"', "\u202eabc", "😀" * 1000, "a\nb", "\\u0041", "A"]


@pytest.fixture(params=["str", "uuid"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def index(tmp_path: Path, artifact: Path, kind: str) -> Iterator[Index]:
    Index.create(tmp_path / "index", artifact, keys=kind).close()
    with Index(tmp_path / "index", limits=SMALL) as opened:
        yield opened


def keys_of(index: Index, *numbers: int) -> list[Any]:
    return [KEYS[index.about.keys](number) for number in numbers]


def fill(index: Index, count: int) -> np.ndarray:
    vectors = unit_vectors(count)
    metadata = [{"n": i} for i in range(count)]
    assert index.add_vectors(vectors, names(count), keys=keys_of(index, *range(count)), metadata=metadata)
    return vectors


def test_in_and_out(index: Index) -> None:
    vectors = fill(index, 120)
    index.checkpoint()
    one, other, absent = keys_of(index, 3, 7, 999)
    assert index.get([other, absent, one, other]) == [
        Entry(other, "text 7", {"n": 7}),
        None,
        Entry(one, "text 3", {"n": 3}),
        Entry(other, "text 7", {"n": 7}),
    ]
    for exact in (True, False, None):
        assert index.search(vectors[[3]], k=1, exact=exact) == [[Hit(one, 1.0, "text 3", {"n": 3})]]
    assert index.search(vectors[[3]], k=1, where={"n": {"$gt": 3}})[0][0].key != one
    assert index.remove([one, absent, one]) == 1
    assert index.add_vectors(vectors[:1], ["new"], keys=[other]) == [other]
    assert index.get([one, other]) == [None, Entry(other, "new", None)]
    for _ in range(2):
        index.compact()
        assert (len(index), index.info().dead) == (119, 0)
        assert index.get([other]) == [Entry(other, "new", None)]
    with Index.open(index.folder, read_only=True) as reader:
        assert reader.about.keys == index.about.keys
        assert reader.get([other]) == [Entry(other, "new", None)]


def test_hostile_strings(tmp_path: Path, artifact: Path) -> None:
    with Index.create(tmp_path / "index", artifact, keys="str") as index:
        index.add_vectors(unit_vectors(len(HOSTILE)), names(len(HOSTILE)), keys=HOSTILE)
        assert index.get(HOSTILE) == [Entry(key, f"text {i}", None) for i, key in enumerate(HOSTILE)]
        assert index.get([*reversed(HOSTILE)]) == [*reversed(index.get(HOSTILE))]
        assert index.get(["0", "1230", "12", "a", "123 "]) == [None] * 5
        index.compact()
        assert [hit.key for hit in index.search(unit_vectors(len(HOSTILE))[[2]], k=1)[0]] == [" 123 "]
        for i, key in enumerate(HOSTILE):
            assert index.remove([key]) == 1
            assert len(index) == len(HOSTILE) - i - 1


def test_equal_scores_by_key(index: Index) -> None:
    keys = keys_of(index, *np.random.default_rng(0).permutation(60).tolist())
    one = unit_vectors(1)
    index.add_vectors(np.repeat(one, 60, axis=0), names(60), keys=keys)
    assert [hit.key for hit in index.search(one, k=10, exact=True)[0]] == sorted(keys)[:10]
    assert [hit.key for hit in index.search(one, k=100)[0]] == sorted(keys)


def test_texts_of_either_form_are_one_uuid(tmp_path: Path, artifact: Path) -> None:
    key = UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
    with Index.create(tmp_path / "index", artifact, keys="uuid") as index:
        assert index.add_vectors(unit_vectors(1), ["a"], keys=[str(key).upper()]) == [key]
        assert index.get([str(key), key]) == [Entry(key, "a", None)] * 2
        with pytest.raises(InputValueError, match=r"keys\[1\] is keys\[0\] again"):
            index.add_vectors(unit_vectors(2), ["a", "b"], keys=[key, str(key)])
        assert index.remove([str(key)]) == 1


def test_automatic_keys(tmp_path: Path, artifact: Path) -> None:
    with Index.create(tmp_path / "uuids", artifact, keys="uuid") as index:
        first = index.add(["a", "b"])
        second = index.add_vectors(unit_vectors(3), names(3))
        assert {key.version for key in first + second} == {7}
        assert [entry.text for entry in index.get(first + second) if entry] == ["a", "b", *names(3)]
    with Index.create(tmp_path / "strings", artifact, keys="str") as index:
        assert index.add([]) == []
        for add in (lambda: index.add(["a"]), lambda: index.add_vectors(unit_vectors(1), ["a"])):
            with pytest.raises(InputValueError, match=r"strings, of which none is automatic; give keys=…"):
                add()
        assert len(index) == 0


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [("int", 1, "1"), ("str", "1", 1), ("uuid", UUID(int=1), 1), ("str", "1", UUID(int=1)), ("int", 1, UUID(int=1))],
)
def test_keys_of_another_kind(tmp_path: Path, artifact: Path, kind: str, good: Any, bad: Any) -> None:
    plural = KEY_KINDS[kind].plural
    with Index.create(tmp_path / "index", artifact, keys=kind) as index:
        for use in (
            lambda: index.add(["a", "b"], keys=[good, bad]),
            lambda: index.add_vectors(unit_vectors(2), ["a", "b"], keys=[good, bad]),
            lambda: index.get([good, bad]),
            lambda: index.remove([good, bad]),
        ):
            with pytest.raises(InputTypeError, match=rf"keys\[1\] is .*the keys of this index are {plural}"):
                use()
        assert len(index) == 0


def test_an_unknown_kind(tmp_path: Path, artifact: Path) -> None:
    with pytest.raises(InputValueError, match="keys='bytes': choose 'int', 'str' or 'uuid'"):
        Index.create(tmp_path / "index", artifact, keys="bytes")
    assert not (tmp_path / "index").exists()


def test_what_is_known_is_not_encoded_again(index: Index, streamed: list[str]) -> None:
    keys = keys_of(index, *range(30))
    index.add(names(20), keys=keys[:20])
    streamed.clear()
    assert index.add(names(30), keys=keys) == keys
    assert streamed == names(30)[20:]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet", "arrow"])
def test_out_to_a_file_and_in_again(index: Index, artifact: Path, tmp_path: Path, suffix: str) -> None:
    if suffix != "jsonl":
        pytest.importorskip("pyarrow")
    vectors = fill(index, 50)
    file = tmp_path / f"entries.{suffix}"
    assert index.export(file) == 50
    with Index.create(tmp_path / "other", artifact, keys=index.about.keys) as other:
        added = other.add_from(file)
        assert added == keys_of(index, *range(50))
        assert other.get(added) == index.get(added)
        assert other.search(vectors[:5]) == index.search(vectors[:5])
    with Index.create(tmp_path / "numbers", artifact) as numbers:
        with pytest.raises(InputValueError, match=r"(line|row) 1: the key is .*; expected a whole number"):
            numbers.add_from(file)
        assert len(numbers) == 0


def test_the_column_of_keys_is_of_strings(index: Index, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    fill(index, 3)
    index.export(tmp_path / "e.parquet")
    column = parquet.read_table(tmp_path / "e.parquet").column("key")
    assert (str(column.type), column.to_pylist()) == ("string", [*map(str, keys_of(index, 0, 1, 2))])


def test_tables_of_texts(index: Index, tmp_path: Path) -> None:
    keys = keys_of(index, 5, 6)
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("key", "text"), (keys[0], "a"), (keys[1], "b")])
    assert index.add_from(tmp_path / "t.csv") == keys
    for content, message in (
        ("key,text\n,a\n", "line 2: the key (has 0 characters|is '')"),
        ('{"key": 5, "text": "a"}\n', "line 1: the key is 5; expected a (string|UUID)"),
        ('{"key": "x\\u0000", "text": "a"}\n', "line 1: the key (holds the character NUL|is )"),
    ):
        file = tmp_path / ("bad.csv" if content.startswith("key") else "bad.jsonl")
        file.write_text(content)
        with pytest.raises(InputValueError, match=message):
            index.add_from(file)


def test_numbers_in_a_table_are_strings_where_the_index_has_strings(tmp_path: Path, artifact: Path) -> None:
    (tmp_path / "t.csv").write_text("key,text\n0123,a\n123,b\n")
    with Index.create(tmp_path / "index", artifact, keys="str") as index:
        assert index.add_from(tmp_path / "t.csv") == ["0123", "123"]


def test_files_of_keys(index: Index, tmp_path: Path) -> None:
    kind, keys = index.about.key_kind, keys_of(index, 1, 2)
    (tmp_path / "keys.txt").write_text("".join(f"{key}\n" for key in keys))
    np.save(tmp_path / "keys.npy", np.array([*map(str, keys)]))
    np.save(tmp_path / "numbers.npy", np.arange(2))
    assert read_keys(str(tmp_path / "keys.txt"), kind) == read_keys(str(tmp_path / "keys.npy"), kind) == keys
    with pytest.raises(InputValueError, match="row 1: the key is 0; expected"):
        read_keys(str(tmp_path / "numbers.npy"), kind)


def test_an_interrupted_filling_goes_on(index: Index, tmp_path: Path) -> None:
    texts = [f"text {i}" + " the cat" * (i % 9) for i in range(300)]
    file = tmp_path / "many.csv"
    with file.open("w", newline="") as opened:
        csv.writer(opened).writerows([("key", "text"), *zip(keys_of(index, *range(300)), texts, strict=True)])
    done: list[int] = []

    def stop(count: int) -> None:
        done.append(count)
        if sum(done) > 100:
            raise KeyboardInterrupt

    filling = Filling(index, Source(file=str(file)), stop)
    with pytest.raises(KeyboardInterrupt):
        filling.run()
    assert filling.safe() == sum(done) == len(index) < 300
    assert filling.resumed_by == Source(file=str(file))
    streamed: list[int] = []
    again = Filling(index, filling.resumed_by, streamed.append)
    again.run()
    assert (streamed[0], len(index), index.info().dead) == (sum(done), 300, 0)
    assert [entry.text for entry in index.get(keys_of(index, *range(300))) if entry] == texts


def test_a_filling_without_keys(index: Index, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("a\nb\n")
    source = Source(file=str(tmp_path / "t.txt"))
    filling = Filling(index, source)
    if index.about.keys == "str":
        with pytest.raises(InputValueError, match="none is automatic") as caught:
            filling.run()
        assert caught.value.on_command_line().endswith('give each text a "key"')
    else:
        filling.run()
        # Nothing tells the keys of a second try.
        assert (filling.added, filling.safe(), filling.resumed_by) == (2, 2, None)
    first = Filling(index, Source(file=source.file, first_key=3))
    with pytest.raises(InputValueError, match="--first-key is for whole numbers"):
        first.run()


def test_a_copy(index: Index, tmp_path: Path, artifact: Path) -> None:
    fill(index, 60)
    keys = keys_of(index, *range(60))
    entries = index.get(keys)
    index.close()
    with Encoder(artifact) as encoder:
        copy_index(index.folder, tmp_path / "copy", encoder)
    with Index.open(tmp_path / "copy", read_only=True) as copy:
        assert copy.get(keys) == entries


def change(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "index.db")) as connection:
        connection.create_function("of_record", 3, record_checksum)
        for statement in statements:
            connection.execute(statement)
        connection.commit()


@pytest.fixture
def damaged(index: Index, tmp_path: Path) -> Path:
    """An index of 60 entries, to be damaged."""
    fill(index, 60)
    index.close()
    return Path(shutil.copytree(index.folder, tmp_path / "damaged"))


@pytest.mark.parametrize("key", [f"'{UUID(int=5)}'", "upper(key) || 'x'", "CAST(key AS BLOB)"])
def test_an_altered_key(damaged: Path, key: str) -> None:
    change(damaged, f"UPDATE entries SET key = {key} WHERE row = 7")
    with Index.open(damaged, read_only=True) as index:
        with pytest.raises(IndexDamagedError, match="entry of row 7 was altered"):
            index.search(unit_vectors(60)[[7]], k=1)
        with pytest.raises(IndexDamagedError, match="entry of row 7 was altered"):
            index.export(damaged.parent / "e.jsonl")


@pytest.mark.parametrize(("kind", "key"), [("uuid", "'no uuid'"), ("int", "'abc'"), ("int", "0.5")], indirect=["kind"])
def test_a_key_of_another_kind_with_a_checksum_that_fits(damaged: Path, key: str) -> None:
    change(damaged, f"UPDATE entries SET key = {key} WHERE row = 7")
    with contextlib.suppress(sqlite3.OperationalError):  # a type that no checksum is of
        change(damaged, "UPDATE entries SET checksum = of_record(key, text, metadata) WHERE row = 7")
    with Index.open(damaged, read_only=True) as index, pytest.raises(IndexDamagedError, match="row 7 was altered"):
        index.search(unit_vectors(60)[[7]], k=1)


def test_an_index_of_keys_that_was_altered(damaged: Path, kind: str) -> None:
    one, other = KEYS[kind](7), KEYS[kind](8)
    quoted = str(one).replace("'", "''")
    change(
        damaged,
        "PRAGMA writable_schema = ON",
        "CREATE TABLE other (row INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE)",
        f"INSERT INTO other SELECT row, CASE key WHEN '{quoted}' THEN 'x' ELSE key END FROM entries",
        "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name LIKE '%autoindex_other_1') "
        "WHERE name LIKE '%autoindex_entries_1'",
    )
    with Index.open(damaged, read_only=True) as index:
        assert index.get([other])[0] is not None
        for _ in range(2):
            with pytest.raises(IndexDamagedError, match="index of its keys was altered"):
                index.get([other, one])
    with pytest.raises(IndexDamagedError, match="index of its keys was altered"):
        Index.open(damaged, read_only=False)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE about SET content = json_set(content, '$.keys', 'int')",
        "UPDATE about SET content = json_set(content, '$.keys', 'bytes')",
        "UPDATE about SET content = json_set(content, '$.keys', 5)",
        "UPDATE about SET content = json_remove(content, '$.keys')",
        "PRAGMA user_version = 1",
    ],
)
def test_an_index_that_says_other_keys(damaged: Path, statement: str) -> None:
    change(damaged, statement)
    with pytest.raises(IndexDamagedError, match="does not say what it is"):
        Index.open(damaged)


def test_a_table_for_other_keys(tmp_path: Path, artifact: Path) -> None:
    Index.create(tmp_path / "index", artifact).close()
    change(
        tmp_path / "index",
        "PRAGMA user_version = 2",
        "UPDATE about SET content = json_set(content, '$.keys', 'str')",
    )
    with pytest.raises(IndexDamagedError, match="table 'entries' is missing or another's"):
        Index.open(tmp_path / "index")


def test_the_first_format_is_what_it_was(tmp_path: Path, artifact: Path) -> None:
    Index.create(tmp_path / "index", artifact).close()
    with closing(sqlite3.connect(tmp_path / "index" / "index.db")) as connection:
        found = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    assert found["entries"] == (
        "CREATE TABLE entries (\n    row INTEGER PRIMARY KEY, key INTEGER NOT NULL UNIQUE, text TEXT NOT NULL, "
        "metadata TEXT, checksum INTEGER NOT NULL\n)"
    )
    assert [*found] == ["entries", "dead", "about", "state"]


def test_texts_without_keys_are_refused_before_they_are_encoded(
    tmp_path: Path, artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def encode(*_: object) -> None:
        raise AssertionError("encoded")

    with Index.create(tmp_path / "named", artifact, keys="str") as index:
        monkeypatch.setattr(index._adding, "_encoded", encode)
        with pytest.raises(InputValueError, match="none is automatic"):
            index.add(["a", "b"])
        assert index.add([]) == []


def test_automatic_uuids_rise_from_one_addition_to_the_next(tmp_path: Path, artifact: Path) -> None:
    # Several of them in a millisecond.
    Index.create(tmp_path / "uuids", artifact, keys="uuid").close()
    with Index(tmp_path / "uuids", limits=SMALL) as index:
        keys = [key for i in range(40) for key in index.add_vectors(unit_vectors(20, i), names(20))]
    assert keys == sorted(set(keys))


@pytest.mark.parametrize("kind", KEY_KINDS)
def test_a_number_that_python_does_not_write_is_refused_in_words(tmp_path: Path, artifact: Path, kind: str) -> None:
    huge = 10**5000
    with Index.create(tmp_path / "index", artifact, keys=kind) as index:
        for ask in (lambda: index.get([huge]), lambda: index.count({"a": huge}), lambda: index.count({huge: 1})):
            with pytest.raises((InputTypeError, InputValueError), match="an int of 16,610 bits"):
                ask()


@pytest.mark.parametrize("options", [{"keys": ["x"]}, {"dtype": ["i8"]}, {"dtype": None}])
def test_what_is_no_kind(tmp_path: Path, artifact: Path, options: dict[str, Any]) -> None:
    with pytest.raises(InputValueError, match="choose '"):
        Index.create(tmp_path / "index", artifact, **options)
