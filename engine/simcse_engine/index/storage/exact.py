"""Exact comparisons: functions for SQLite, for the metadata that it may read otherwise than Python."""

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3


def add_functions(connection: "sqlite3.Connection") -> None:
    """Let a connection evaluate a `simcse_engine.index.storage.where.Condition`."""
    connection.create_function("exact_text", 2, exact_text, deterministic=True)
    connection.create_function("exact_order", 3, exact_order, deterministic=True)


def exact_text(metadata: str, path: str) -> str:
    r"""The JSON of a field, null where it is absent, as SQLite's ``json_extract(metadata, path, '$[0]')`` has it.

    >>> exact_text('{"a": {"b": "x\\u0000y"}}', '$."a"."b"')
    '["x\\\\u0000y",null]'
    """
    return f"[{json.dumps(_value_at(metadata, path), ensure_ascii=False)},null]"


def exact_order(metadata: str, path: str, operand: str) -> int | None:
    """-1, 0 or 1: a field is less than the operand, which is JSON, or equal or greater; None: they do not compare.

    >>> exact_order('{"id": 9223372036854775809}', '$."id"', "9223372036854775810")
    -1
    """
    value, other = _value_at(metadata, path), json.loads(operand)
    if value is None or isinstance(value, bool | list | dict) or isinstance(value, str) != isinstance(other, str):
        return None
    return int(value > other) - int(value < other)


def _value_at(metadata: str, path: str) -> Any:
    value = json.loads(metadata)
    # No name in a path has a quote in it.
    for name in path[3:-1].split('"."'):
        value = value.get(name) if isinstance(value, dict) else None
    return value
