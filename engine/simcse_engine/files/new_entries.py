"""Entries to add: files of plain lines, `.jsonl` and `.parquet` with keys and metadata; and files of keys."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from ..errors import InputValueError
from .arrow import open_parquet, parquet_rows, parsed_metadata
from .texts import STDIN, json_lines, open_input, open_texts
from .vectors import load_npy

_NAMES = {"text", "key", "metadata"}


class NewEntry(NamedTuple):
    """A text to add, with its key and metadata if the file has them."""

    text: str
    key: int | None = None
    metadata: dict[str, Any] | None = None


def has_vectors(source: str) -> bool:
    """Whether a file brings vectors, so that `read_entries` reads it and nothing is encoded."""
    suffix = _suffix(source)
    if suffix in (".npy", ".arrow"):
        return True
    if suffix not in (".parquet", ".jsonl"):
        return False
    with open_input(Path(source)) as file:
        if suffix == ".parquet":
            return "vector" in open_parquet(file, source).schema_arrow.names
        # The reader of the file reports a line that is not JSON.
        with contextlib.suppress(InputValueError):
            _, first = next(json_lines(file, source), ("", None))
            return isinstance(first, dict) and "vector" in first
    return False


@contextlib.contextmanager
def open_entries(source: str) -> Iterator[Iterator[NewEntry]]:
    """Open a file of texts; its entries are read as the iterator advances.

    Args:
        source: as for `open_texts`. In `.jsonl`, an object may have a "key" and "metadata" beside its "text", and
            `.parquet` columns of these names, the metadata as JSON or as a struct.

    Raises:
        InputValueError: the file cannot be read, or a line is not what it should be.
    """
    reader = {".jsonl": _json_entries, ".parquet": _parquet_entries}.get(_suffix(source))
    if reader is None:
        with open_texts(source) as texts:
            yield map(NewEntry, texts)
        return
    with open_input(Path(source)) as file:
        yield reader(file, source)


def _suffix(source: str) -> str:
    return "" if source == STDIN else Path(source).suffix.lower()


def _json_entries(file: BinaryIO, source: str) -> Iterator[NewEntry]:
    for place, value in json_lines(file, source):
        row = {"text": value} if isinstance(value, str) else value
        if not isinstance(row, dict) or not isinstance(row.get("text"), str):
            raise InputValueError(f'{place}: expected a string, or an object with a string under "text"')
        # A misspelt "meta" would be lost without a word.
        if unknown := set(row) - _NAMES:
            raise InputValueError(
                f"{place}: has {', '.join(sorted(unknown))}; text, key and metadata are read (put the rest in metadata)"
            )
        yield _new_entry(row["text"], row.get("key"), row.get("metadata"), place)


def _parquet_entries(file: BinaryIO, source: str) -> Iterator[NewEntry]:
    # No generator itself, so that a file without texts is reported at once.
    rows = parquet_rows(file, source, ("key", "metadata"))
    return (
        _new_entry(text, key, parsed_metadata(metadata, place := f"{source}, row {number}"), place)
        for number, (text, key, metadata) in enumerate(rows, 1)
    )


def _new_entry(text: str, key: object, metadata: object, place: str) -> NewEntry:
    if key is not None and (isinstance(key, bool) or not isinstance(key, int)):
        raise InputValueError(f"{place}: the key is {key!r:.40}; expected a whole number")
    if metadata is not None and not isinstance(metadata, dict):
        raise InputValueError(f"{place}: the metadata is {type(metadata).__name__}; expected an object")
    return NewEntry(text, key, metadata)


def read_keys(source: str) -> list[int]:
    """The keys of an `.npy` file's vectors: whole numbers, one per line, or an `.npy` file of them."""
    if _suffix(source) != ".npy":
        with open_texts(source) as lines:
            return [_key(line, f"{source}, line {number}") for number, line in enumerate(lines, 1)]
    array = load_npy(source)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise InputValueError(f"{source}: {array.dtype} of shape {list(array.shape)}; expected a list of whole numbers")
    keys: list[int] = array.tolist()
    return keys


def _key(line: str, place: str) -> int:
    if not (line.isascii() and line.isdecimal()):
        raise InputValueError(f"{place}: {line!r:.40} is no key; expected a whole number from 0 on")
    return int(line)
