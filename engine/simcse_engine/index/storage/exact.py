"""Exact comparisons: functions for SQLite, for the metadata that it may read otherwise than Python."""

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3


_ABSENT = object()


def add_functions(connection: "sqlite3.Connection") -> None:
    """Let a connection evaluate a `simcse_engine.index.storage.where.Condition`."""
    connection.create_function("exact_text", 2, exact_text, deterministic=True)
    connection.create_function("exact_order", 3, exact_order, deterministic=True)
    connection.create_function("exact_contains", 3, exact_contains, deterministic=True)
    connection.create_function("exact_exists", 2, exact_exists, deterministic=True)


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


def exact_contains(metadata: str, path: str, operand: str) -> bool:
    """Whether a field is a list with a member that equals the operand, which is JSON, or a string that has it in it.

    >>> exact_contains('{"tags": ["new", 5.0]}', '$."tags"', "5")
    True
    """
    value, other = _value_at(metadata, path), json.loads(operand)
    if isinstance(value, str):
        return isinstance(other, str) and other in value
    # To Python, true is 1.
    return isinstance(value, list) and any(
        member == other and isinstance(member, bool) == isinstance(other, bool) for member in value
    )


def exact_exists(metadata: str, path: str) -> bool:
    """Whether a field is there, be it null.

    >>> exact_exists('{"a": {"b": null}}', '$."a"."b"')
    True
    """
    return _value_at(metadata, path, absent=_ABSENT) is not _ABSENT


def _value_at(metadata: str, path: str, absent: object = None) -> Any:
    value = json.loads(metadata)
    # No name in a path has a quote in it.
    for name in path[3:-1].split('"."'):
        value = value.get(name, absent) if isinstance(value, dict) else absent
    return value
