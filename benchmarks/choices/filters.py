"""Why no metadata field has an index: the first use of a filter, as it is and by an SQLite index on its field.

100,000 entries with a year each, made up, in memory. "first_use_ms" is CPU time of the statement that finds a filter's
rows. "indexed" lets SQLite find them by an index on the field, and then compares exactly, as a filter does:
SQLite reads some numbers as others. "add_ms" is CPU time to insert them all.
"""

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from simcse_engine.index.storage.exact import add_functions
from simcse_engine.index.storage.where import compile_where

from ..record import write_result
from ..statistics import spreads
from ..turns import alternate, no_options

ENTRIES, YEARS, ROUNDS = 100_000, 25, 9
TEXT = "A sentence of about as many characters as those that people search, which are ninety in all."
_FIELD = """json_extract(metadata, '$."year"')"""
# What is found by the index: a condition on `_FIELD` that all rows meet which meet the filter.
FILTERS: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "4 %, equal": ({"year": YEARS - 1}, f"{_FIELD} = {YEARS - 1}"),
    "20 %, a range": ({"year": {"$gte": 20}}, f"{_FIELD} BETWEEN 20 AND 9e999"),
    "60 %, a range": ({"year": {"$gte": 10}}, f"{_FIELD} BETWEEN 10 AND 9e999"),
}


def main() -> None:
    no_options(__doc__)
    with _database(indexed=False) as plain, _database(indexed=True) as indexed:
        _insert(plain), _insert(indexed)
        ways = {}
        for name, (where, by_index) in FILTERS.items():
            condition = compile_where(where)
            ways[name] = partial(_first_use, plain, condition.sql, condition.parameters)
            found = f"{by_index} AND {condition.sql}"
            ways[f"{name}, indexed"] = partial(_first_use, indexed, found, condition.parameters)
        figures = {
            "first_use_ms": spreads(alternate(ways, range(ROUNDS))),
            "add_ms": spreads(
                alternate({"plain": partial(_added, False), "indexed": partial(_added, True)}, range(ROUNDS))
            ),
        }
    write_result("filters", {"question": "whether indexes on metadata fields pay", "entries": ENTRIES}, figures)


@contextlib.contextmanager
def _database(*, indexed: bool) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        add_functions(connection)
        connection.execute("CREATE TABLE entries (row INTEGER PRIMARY KEY, text TEXT NOT NULL, metadata TEXT)")
        if indexed:
            connection.execute(f"CREATE INDEX by_year ON entries ({_FIELD})")
        yield connection


def _insert(connection: sqlite3.Connection) -> None:
    rows = ((row, TEXT, json.dumps({"n": row, "year": row % YEARS})) for row in range(ENTRIES))
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO entries VALUES (?, ?, ?)", rows)
    connection.execute("COMMIT")


def _added(indexed: bool, _: int) -> float:
    with _database(indexed=indexed) as connection:
        start = time.thread_time()
        _insert(connection)
        return 1e3 * (time.thread_time() - start)


def _first_use(connection: sqlite3.Connection, condition: str, parameters: tuple[Any, ...], _: int) -> float:
    start = time.thread_time()
    connection.execute(f"SELECT group_concat(row) FROM entries WHERE {condition}", parameters).fetchone()
    return 1e3 * (time.thread_time() - start)


if __name__ == "__main__":
    main()
