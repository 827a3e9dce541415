"""Keywords: an index of the entries' words, by SQLite's FTS5, in the database and in step with it.

FTS5 keeps no copy of the texts. To take one out of its index, it must be given the words that it was given before
(docs/decisions/038-hybrid-search.md).
"""

import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import IndexDamagedError
from .words import expressions, paired

# Marks are parts of words, so that the vowels of Hindi and Thai are; accents on Latin letters do not count.
_TABLE = """CREATE VIRTUAL TABLE keywords USING fts5(
    text, content = '', tokenize = "unicode61 remove_diacritics 2 categories 'L* M* N* Co'"
)"""
# FTS5's own numbers: of how many parts it makes one, bit by bit, and at once. And such that it does neither.
_MERGE = {"automerge": 4, "crisismerge": 16}
_MERGE_NEVER = {"automerge": 0, "crisismerge": 1999}
# Of a word in a text, and of what takes it out again; rare words take more than common ones.
_WORD_BYTES = 10
_INSERT = "INSERT INTO keywords (rowid, text) VALUES (?, ?)"
_DELETE = "INSERT INTO keywords (keywords, rowid, text) VALUES ('delete', ?, ?)"


def create_keywords(connection: sqlite3.Connection) -> None:
    """Make an empty index of words, in place of one that is there."""
    connection.execute("DROP TABLE IF EXISTS keywords")
    connection.execute(_TABLE)


def has_keywords(connection: sqlite3.Connection) -> bool:
    """Whether there is one; another process may have made it since the index was opened."""
    sql = "SELECT count(*) FROM sqlite_master WHERE name = 'keywords'"
    return bool(connection.execute(sql).fetchone()[0])


def check_keywords(connection: sqlite3.Connection, path: Path, *, expected: bool) -> None:
    """Raise unless there is one of ours if ``expected``, and none otherwise; and where SQLite cannot read it."""
    found = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'keywords'").fetchall()
    if found != ([(_TABLE,)] if expected else []):
        raise IndexDamagedError(f"{path}: its table 'keywords' is missing or another's; restore a backup")
    if expected:
        connection.execute("SELECT rowid FROM keywords LIMIT 0")


def count_keywords(connection: sqlite3.Connection) -> int:
    """How many texts it is of; -1 where FTS5's own counts do not agree, or it is not `in_step`.

    FTS5 has no checksums, so a damaged page that still parses can hide words. All are counted, and compared
    with the count that it keeps beside them.
    """
    (texts,) = connection.execute("SELECT count(*) FROM keywords_docsize").fetchone()
    connection.execute("CREATE VIRTUAL TABLE temp.keywords_words USING fts5vocab(main, keywords, row)")
    (words,) = connection.execute("SELECT coalesce(sum(cnt), 0) FROM temp.keywords_words").fetchone()
    connection.execute("DROP TABLE temp.keywords_words")
    return int(texts) if in_step(connection) and _counts(connection) == [texts, words] else -1


def in_step(connection: sqlite3.Connection) -> bool:
    """Whether it is of the entries' rows.

    An engine that does not know of words, and had opened the index before it had any, does not keep them in step.
    """
    sums = "SELECT count(*), sum({0}), sum({0} * {0} % 1000003) FROM {1}"
    of_words, of_entries = (sums.format(*of) for of in (("id", "keywords_docsize"), ("row", "entries")))
    return bool(connection.execute(of_words).fetchone() == connection.execute(of_entries).fetchone())


def words_bytes(connection: sqlite3.Connection) -> int:
    """About how many bytes the index of words takes; FTS5 writes down what goes before it gives the room back."""
    return _WORD_BYTES * sum((_counts(connection) or [0])[1:])


def _counts(connection: sqlite3.Connection) -> list[int] | None:
    """How many texts and words FTS5 says that there are; None where it says nothing."""
    kept = connection.execute("SELECT block FROM keywords_data WHERE id = 1").fetchone()
    # Empty until there is a first text.
    return None if kept is None else _numbers(kept[0]) or [0, 0]


def _numbers(block: object) -> list[int]:
    """Numbers as FTS5 writes them: seven bits a byte, the highest first, of which all but the last have the eighth."""
    numbers, number = [], 0
    for byte in block if isinstance(block, bytes) else ():
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            numbers.append(number)
            number = 0
    return numbers


def add_keywords(connection: sqlite3.Connection, texts: Iterable[tuple[int, str]]) -> None:
    """Add the texts of rows."""
    connection.executemany(_INSERT, ((row, paired(text)) for row, text in texts))


def remove_keywords(connection: sqlite3.Connection, texts: Iterable[tuple[int, str]], *, tidy: bool = True) -> None:
    """Take out the texts of rows.

    Unless it is to leave the index ``tidy``, FTS5 merges none of its parts meanwhile, which might write all of it anew,
    and writes now what it else gathers until the transaction's end, so that the log has it.
    """
    if not tidy:
        _set_merging(connection, _MERGE_NEVER)
    connection.executemany(_DELETE, ((row, paired(text)) for row, text in texts))
    if not tidy:
        # FTS5 writes before a savepoint.
        connection.execute("SAVEPOINT words")
        connection.execute("RELEASE words")
        _set_merging(connection, _MERGE)


def _set_merging(connection: sqlite3.Connection, sizes: Mapping[str, int]) -> None:
    connection.executemany("INSERT INTO keywords (keywords, rank) VALUES (?, ?)", sizes.items())


def find_keywords(
    connection: sqlite3.Connection, query: str, most: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The rows that hold one of a query's words, in any order, and their BM25 scores, of which higher are better.

    The time that this takes grows with the rows. So of the words the rarest count, as long as they are in ``most`` rows
    altogether: BM25 gives little for the others. The rarest one always counts.
    """
    counted = sorted((_count(connection, word, most + 1), word) for word in expressions(query))
    counted = [(count, word) for count, word in counted if count]
    if counted and counted[0][0] > most:
        counted = [min((_count(connection, word, -1), word) for _, word in counted)]
    chosen: list[str] = []
    total = 0
    for count, word in counted:
        total += count
        if chosen and total > most:
            break
        chosen.append(word)
    sql = "SELECT rowid, -bm25(keywords) FROM keywords WHERE keywords MATCH ?"
    found = connection.execute(sql, (" OR ".join(chosen),)).fetchall() if chosen else []
    rows, scores = np.array(found, np.float64).reshape(-1, 2).T
    return rows.astype(np.int64), scores.astype(np.float32)


def _count(connection: sqlite3.Connection, word: str, most: int) -> int:
    """In how many rows a word is, counted up to ``most``; -1 for all."""
    sql = "SELECT count(*) FROM (SELECT 1 FROM keywords WHERE keywords MATCH ? LIMIT ?)"
    return int(connection.execute(sql, (word, most)).fetchone()[0])
