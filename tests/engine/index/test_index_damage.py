"""Damaged, truncated, foreign and newer files: a clear error or the right answer, never another."""

import contextlib
import random
import shutil
import sqlite3
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from simcse_engine import Hit, Index, IndexWarning
from simcse_engine.errors import (
    IndexDamagedError,
    IndexNotFoundError,
    IndexVersionError,
    OutputError,
    SearchIndexError,
)
from simcse_engine.index.storage.records import record_checksum, state_checksum
from support.indexes import DIMENSION, SMALL, filled, names, unit_vectors

ROWS = 120


@pytest.fixture(scope="module")
def whole(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "index"
    filled(folder, artifact, ROWS)
    with Index(folder, limits=SMALL) as index:
        index.remove([5])
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "index"))


def file(folder: Path, kind: str) -> Path:
    (path,) = folder.glob(kind)
    return path


def answers(folder: Path, *, read_only: bool = True) -> list[list[list[Hit]]]:
    """What an index says, in every way that it can be asked."""
    queries = unit_vectors(15, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IndexWarning)
        with Index(folder, read_only=read_only, limits=SMALL) as index:
            searches = [index.search(queries, k=3, exact=exact) for exact in (True, False)]
            entries = [[Hit(entry.key, 0, *entry[1:])] for entry in index.get(range(ROWS)) if entry]
            return [*searches, entries, *[index.search(queries, where={"n": {"$gte": 100}}, exact=True)]]


def flipped(path: Path, position: int) -> None:
    with path.open("r+b") as opened:
        opened.seek(position)
        (byte,) = opened.read(1)
        opened.seek(position)
        opened.write(bytes([byte ^ (1 << position % 8)]))


def test_adding_again_what_is_damaged(folder: Path) -> None:
    """An addition acknowledges also what stands there already: so it reads its vectors."""
    flipped(file(folder, "vectors-*"), 64 + 7 * (4 * DIMENSION + 4))
    with Index(folder, limits=SMALL) as index, pytest.raises(IndexDamagedError, match="vector 7 was altered"):
        index.add(names(10), keys=range(10), metadata=[{"n": i} for i in range(10)])


@pytest.mark.parametrize("kind", ["vectors-*", "graph-*"])
@pytest.mark.parametrize("seed", range(12))
def test_a_flipped_byte(whole: Path, folder: Path, kind: str, seed: int) -> None:
    expected = answers(whole)
    path = file(folder, kind)
    flipped(path, random.Random(seed).randrange(path.stat().st_size))
    for read_only in (True, False):
        try:
            answered = answers(folder, read_only=read_only)
        except IndexDamagedError:
            # The graph can be done without; what else is damaged cannot.
            answered = expected if kind == "vectors-*" else []
        assert answered == expected


@pytest.mark.parametrize("seed", [*range(40), 98, 192, 299, 463, 493, 518])
def test_a_flipped_byte_of_the_database(whole: Path, folder: Path, seed: int) -> None:
    """Every entry is told, and as it was written, though SQLite checks no pages. Some hit the index of keys."""
    expected = answers(whole)
    path = folder / "index.db"
    flipped(path, random.Random(seed).randrange(path.stat().st_size))
    try:
        answered = answers(folder)
    except (SearchIndexError, OutputError):
        return
    assert answered == expected


@pytest.mark.parametrize("kind", ["vectors-*", "graph-*", "index.db"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_truncated(whole: Path, folder: Path, kind: str, share: float) -> None:
    path = file(folder, kind)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    for read_only in (True, False):
        if kind == "graph-*":
            assert answers(folder, read_only=read_only) == answers(whole)
        else:
            with pytest.raises(SearchIndexError):
                answers(folder, read_only=read_only)


@pytest.mark.parametrize("kind", ["vectors-*", "graph-*", "index.db"])
@pytest.mark.parametrize("content", [b"", b"x" * 10_000, bytes(10_000), b"SQLite format 3\0" + bytes(10_000)])
def test_another_s_content(whole: Path, folder: Path, kind: str, content: bytes) -> None:
    path = file(folder, kind)
    path.write_bytes(content)
    if kind == "graph-*":
        assert answers(folder) == answers(whole)
    else:
        with pytest.raises(SearchIndexError):
            answers(folder)


@pytest.mark.parametrize("kind", ["vectors-*", "graph-*", "index.db"])
def test_missing(whole: Path, folder: Path, kind: str) -> None:
    path = file(folder, kind)
    path.unlink()
    if kind == "graph-*":
        assert answers(folder) == answers(whole)
    elif kind == "index.db":
        with pytest.raises(IndexNotFoundError):
            answers(folder)
    else:
        with pytest.raises(IndexDamagedError, match=r"vectors-1\.f32: missing"):
            answers(folder)


def test_another_index_s_files(whole: Path, folder: Path, artifact: Path, tmp_path: Path) -> None:
    filled(tmp_path / "other", artifact, ROWS, seed=1)
    shutil.copy(file(tmp_path / "other", "graph-*"), file(folder, "graph-*"))
    assert answers(folder) == answers(whole)
    shutil.copy(file(tmp_path / "other", "vectors-*"), file(folder, "vectors-*"))
    with pytest.raises(IndexDamagedError, match="another index"):
        answers(folder)


def test_a_damaged_graph_is_told_and_built_again(folder: Path) -> None:
    flipped(file(folder, "graph-*"), 1000)
    queries = unit_vectors(3)
    with Index.open(folder, read_only=True) as index:
        with pytest.warns(IndexWarning, match=r"digest differs.*call checkpoint\(\)") as caught:
            index.search(queries, exact=False)
        advice = "until the graph is built again: simcse-engine index compact builds it"
        assert caught[0].message.on_command_line().endswith(advice)
        # Once is enough.
        index.search(queries, exact=False)
    with Index(folder, limits=SMALL) as index:
        with pytest.warns(IndexWarning):
            index.search(queries, exact=False)
        index.checkpoint()
        assert index.info().in_graph == ROWS
    with Index.open(folder, read_only=True) as index:
        assert index.search(queries, exact=False) == index.search(queries, exact=True)


def change(folder: Path, *statements: str) -> None:
    connection = sqlite3.connect(folder / "index.db")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("statement", "error", "message"),
    [
        ("PRAGMA user_version = 2", IndexDamagedError, "does not say what it is"),
        ("PRAGMA user_version = 3", IndexVersionError, "format 3, this engine reads formats 1 to 2; upgrade"),
        ("PRAGMA user_version = 0", IndexVersionError, "build the index again"),
        ("PRAGMA application_id = 5", IndexDamagedError, "not an index's"),
        ("DROP TABLE dead", IndexDamagedError, "table 'dead' is missing"),
        ("CREATE VIEW v AS SELECT 1", IndexDamagedError, "has the view 'v', and no index has any"),
        ("CREATE TRIGGER t INSERT ON entries BEGIN SELECT 1; END", IndexDamagedError, "has the trigger 't'"),
        ("ALTER TABLE state ADD COLUMN more", IndexDamagedError, "table 'state' is missing or another's"),
        ("DELETE FROM state", IndexDamagedError, "lacks what every index has"),
        ("DELETE FROM about", IndexDamagedError, "lacks what every index has"),
        ("UPDATE about SET content = '{}'", IndexDamagedError, "does not say what it is"),
        ("UPDATE about SET content = 'x'", IndexDamagedError, "does not say what it is"),
        ("UPDATE state SET rows = rows - 1", IndexDamagedError, "its state was altered"),
        ("UPDATE state SET rows = 1000000000000", IndexDamagedError, "its state was altered"),
        ("UPDATE dead SET row = 100000", IndexDamagedError, "dead rows that never were"),
        ("UPDATE dead SET number = 2", IndexDamagedError, "lost what was removed"),
        ("UPDATE entries SET text = 'text' WHERE row = 7", IndexDamagedError, "entry of row 7 was altered"),
        ("UPDATE entries SET metadata = '{' WHERE row = 7", IndexDamagedError, "altered|malformed JSON"),
        ("UPDATE entries SET text = CAST(x'ff' AS TEXT) WHERE row = 7", IndexDamagedError, "cannot be read"),
        ("DELETE FROM entries WHERE row < 100", IndexDamagedError, "119 entries were written, 20 are there"),
    ],
)
def test_an_altered_database(folder: Path, statement: str, error: type[Exception], message: str) -> None:
    change(folder, statement)
    with pytest.raises(error, match=message):
        answers(folder)


@pytest.mark.parametrize("statement", ["DELETE FROM entries WHERE row = 7", "DELETE FROM dead"])
def test_lost_entries_are_missed_before_anything_builds_on_them(folder: Path, statement: str) -> None:
    change(folder, statement)
    before = {path.name: path.read_bytes() for path in folder.glob("vectors-*")}
    with pytest.raises(IndexDamagedError, match=r"1\d\d entries were written, 11\d are there"):
        Index.open(folder, read_only=False)
    assert {path.name: path.read_bytes() for path in folder.glob("vectors-*")} == before
    for read_only in (True, None):
        with Index.open(folder, read_only=read_only) as index:
            for use in (
                lambda i=index: i.search(unit_vectors(1)),
                lambda i=index: i.get([8]),
                index.info,
                lambda i=index: i.export(folder.parent / "entries.jsonl"),
            ):
                with pytest.raises(IndexDamagedError, match="entries were written"):
                    use()


def test_an_entry_that_its_key_does_not_find(folder: Path) -> None:
    """A damaged index of keys, which has as many as the table."""
    change(
        folder,
        "PRAGMA writable_schema = ON",
        "CREATE TABLE other (row INTEGER PRIMARY KEY, key INTEGER NOT NULL UNIQUE)",
        "INSERT INTO other SELECT row, CASE key WHEN 7 THEN 1007 ELSE key END FROM entries",
        "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name LIKE '%autoindex_other_1') "
        "WHERE name LIKE '%autoindex_entries_1'",
    )
    with Index.open(folder, read_only=True) as index:
        assert index.get([8])[0] is not None
        for _ in range(2):
            with pytest.raises(IndexDamagedError, match="index of its keys was altered"):
                index.get([8, 7])
    with (
        Index.open(folder, read_only=True) as index,
        pytest.raises(IndexDamagedError, match="index of its keys was altered"),
    ):
        index.page(3)
    with pytest.raises(IndexDamagedError, match="index of its keys was altered"):
        Index.open(folder, read_only=False)


def test_nothing_hidden_is_dropped_by_compaction(folder: Path) -> None:
    with Index(folder, read_only=False, limits=SMALL) as index:
        change(folder, "DELETE FROM entries WHERE row = 7")
        with pytest.raises(IndexDamagedError, match="entries are missing"):
            index.compact()
    assert file(folder, "vectors-*").name == "vectors-1.f32"


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE about SET content = json_set(content, '$.dimension', '32')", "does not say what it is"),
        ("UPDATE about SET content = json_set(content, '$.dimension', 0)", "does not say what it is"),
        ("UPDATE about SET content = json_set(content, '$.name', '00')", "does not say what it is"),
        ("UPDATE about SET content = json_set(content, '$.artifact', json('[]'))", "does not say what it is"),
        ("UPDATE state SET rows = 'x'", "its state was altered"),
        ("UPDATE state SET rows = -1", "its state was altered"),
        ("UPDATE state SET rows = 0", "its state was altered"),
        ("UPDATE state SET rows = 1000000000000", "vectors need"),
        ("UPDATE state SET generation = x'31'", "its state was altered"),
        ("UPDATE state SET graph = '[]'", None),
        ("UPDATE state SET graph = 5", None),
        ("UPDATE state SET graph = json_set(graph, '$.covered', 1000)", None),
        ("UPDATE state SET graph = json_set(graph, '$.file', '/dev/zero')", None),
        ("UPDATE entries SET text = CAST(text AS BLOB) WHERE row = 7", "entry of row 7 was altered"),
        ("UPDATE entries SET metadata = '{' WHERE row = 7", "malformed JSON|are no JSON"),
        ("UPDATE dead SET row = 'x'", "rows that are no numbers"),
    ],
)
def test_an_altered_database_with_checksums_that_fit(
    whole: Path, folder: Path, statement: str, message: str | None
) -> None:
    change(folder, statement)
    with contextlib.closing(sqlite3.connect(folder / "index.db")) as connection:
        connection.create_function("of_state", 4, state_checksum)
        connection.create_function("of_record", 3, record_checksum)
        with contextlib.suppress(sqlite3.OperationalError):  # a type that no checksum is of
            connection.execute("UPDATE state SET checksum = of_state(generation, rows, next_key, graph)")
        with contextlib.suppress(sqlite3.OperationalError):
            connection.execute("UPDATE entries SET checksum = of_record(key, text, metadata) WHERE row = 7")
        connection.commit()
    if message is None:
        # The graph can be done without, and is built again.
        assert answers(folder) == answers(whole)
        with warnings.catch_warnings(), Index(folder, limits=SMALL) as index:
            warnings.simplefilter("ignore", IndexWarning)
            index.search(unit_vectors(1), exact=False)
            index.checkpoint()
            assert index.info().in_graph == ROWS
        return
    with pytest.raises(IndexDamagedError, match=message):
        answers(folder)


def test_a_view_that_never_ends_is_not_asked(folder: Path) -> None:
    change(
        folder,
        "ALTER TABLE entries RENAME TO others",
        "CREATE VIEW entries AS WITH RECURSIVE n(row) AS (SELECT 1 UNION ALL SELECT row + 1 FROM n) "
        "SELECT row, row AS key, '' AS text, NULL AS metadata, 0 AS checksum FROM n",
    )
    with pytest.raises(IndexDamagedError, match="has the view 'entries'"):
        answers(folder)


def test_others_indexes_are_let_be(whole: Path, folder: Path) -> None:
    change(folder, "CREATE INDEX mine ON entries (text)", "CREATE TABLE my_notes (note)", "ANALYZE")
    assert answers(folder) == answers(whole)
    with Index(folder, limits=SMALL) as index:
        index.compact()
    # Of a table that was renamed.
    assert len(answers(folder)[2]) == ROWS - 1


def test_an_unknown_dtype(folder: Path) -> None:
    change(folder, "UPDATE about SET content = replace(content, '\"f16\"', '\"e5m2\"')")
    with pytest.raises(IndexDamagedError, match="its dtype is 'e5m2'; upgrade"):
        answers(folder)


@pytest.mark.parametrize("open_it", [lambda f: Index.open(f, read_only=False), lambda f: Index.open(f, read_only=True)])
def test_what_cannot_be_opened_holds_no_lock(folder: Path, open_it: Callable[[Path], Index]) -> None:
    path = file(folder, "vectors-*")
    moved = path.rename(folder / "away")
    with pytest.raises(IndexDamagedError):
        open_it(folder)
    moved.rename(path)
    Index.open(folder, read_only=False).close()
