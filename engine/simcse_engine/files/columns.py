"""Columns: of a row's fields one is its text, one its key, and all others are its metadata."""

import json
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol, TypeAlias

from ..errors import InputTypeError, InputValueError
from ..wording import Wording

TEXT, KEY, METADATA = "text", "key", "metadata"
# Where a file has vectors beside them.
VECTOR = "vector"
TEXT_COLUMN = Wording("text_column=…", "--text-column")


# Makes a key of what a row has, or raises InputValueError, which begins with the row's place.
KeyOf: TypeAlias = Callable[[Any, str], Any]


class KeyReader(Protocol):
    """What keys are, to who reads them; `simcse_engine.index.storage.key_kinds` has the kinds."""

    @property
    def plural(self) -> str:
        """What they are, for messages."""

    def of_json(self, value: object, place: str) -> Any:
        """The key of a row that has types."""

    def of_text(self, text: str, place: str) -> Any:
        """The key of a row that has strings alone."""


class NewEntry(NamedTuple):
    """A text to add, with its key and metadata if the file has them."""

    text: str
    key: Any = None
    metadata: dict[str, Any] | None = None


def check_column(column: str, columns: Iterable[str], name: str) -> None:
    """Raise InputValueError unless ``column``, which the texts are to stand in, is one of ``columns``."""
    if column not in columns:
        there = ", ".join(f"{other:.40}" for other in columns)
        raise InputValueError(
            f'{name}: no column "{column}"; it has {there or "no column"}; name that of the texts with ',
            TEXT_COLUMN,
        )


def text_of(row: dict[str, Any], column: str, place: str) -> str:
    """The text of a row; InputValueError if it is none."""
    text = row[column]
    if text is None:
        raise InputValueError(f'{place}: "{column}" is null; an empty text is an empty string')
    if not isinstance(text, str):
        raise InputValueError(f'{place}: expected a string under "{column}", not {text!r:.40}')
    if not text.isascii():
        try:
            # JSON can spell half a surrogate pair, which is no text. Here the line's number is known.
            text.encode()
        except UnicodeEncodeError as error:
            raise InputValueError(
                f"{place}: a lone surrogate ({text[error.start]!a}), which is no character"
            ) from error
    return text


def entry_of(row: dict[str, Any], column: str, place: str, key_of: KeyOf) -> NewEntry:
    """The entry of a row: its text, and its "key"; the fields of its "metadata", and all others, are its metadata."""
    text = text_of(row, column, place)
    fields = {name: value for name, value in row.items() if name not in (column, KEY, METADATA)}
    key = row.get(KEY) if column != KEY else None
    key = None if key is None else key_of(key, place)
    metadata = _metadata_of(row.get(METADATA), place) if column != METADATA else None
    if not fields:
        return NewEntry(text, key, metadata)
    for name in metadata or ():
        if name in fields:
            raise InputValueError(f'{place}: "{name:.40}" is a field, and in the metadata too; leave one out')
    return NewEntry(text, key, {**fields, **(metadata or {})})


def _metadata_of(value: object, place: str) -> dict[str, Any] | None:
    """The metadata in a field: an object, the JSON of one, or none."""
    if value is None or isinstance(value, dict):
        return value
    try:
        metadata = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError) as error:
        raise InputValueError(f"{place}: the metadata is not JSON ({error})") from error
    if not isinstance(metadata, dict):
        raise InputTypeError(f"{place}: the metadata is {type(metadata).__name__}; expected an object")
    return metadata
