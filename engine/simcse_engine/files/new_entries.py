"""Files that an index is filled from: texts as plain lines, `.jsonl` with keys and metadata, `.parquet`; and keys."""

import contextlib
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from ..errors import InputValueError
from .arrow import import_pyarrow, parsed_metadata
from .texts import STDIN, open_texts

_ENTRY_NAMES = {"text", "key", "metadata"}


class NewEntry(NamedTuple):
    """What a line or row gives: a text, and what it has beside."""

    text: str
    key: int | None = None
    metadata: dict[str, Any] | None = None


def has_vectors(source: str) -> bool:
    """Whether a file brings vectors, so that nothing is to be encoded; `Index.add_from` reads it then.

    Raises:
        InputValueError: it cannot be read.
    """
    suffix = Path(source).suffix.lower()
    if source == STDIN or suffix not in (".npy", ".arrow", ".parquet", ".jsonl"):
        return False
    if suffix in (".npy", ".arrow"):
        return True
    with _opened(source) as file:
        if suffix == ".parquet":
            arrow, parquet = import_pyarrow(source)
            try:
                return "vector" in parquet.ParquetFile(file).schema_arrow.names
            except (arrow.ArrowException, OSError) as error:
                raise InputValueError(f"{source}: not a readable Parquet file ({error})") from error
        try:
            first = json.loads(file.readline() or b"null")
        except (ValueError, RecursionError):
            # Said with the line's number by whoever reads it.
            return False
        return isinstance(first, dict) and "vector" in first


@contextlib.contextmanager
def open_entries(source: str) -> Iterator[Iterator[NewEntry]]:
    """Open a file of texts; what is in it is read as it is asked for.

    Args:
        source: as for `textfile.open_texts`; in `.jsonl`, an object may have a "key" and "metadata" beside its
            "text", and `.parquet` columns of these names, the metadata as JSON or as a struct.

    Yields:
        The entries.

    Raises:
        InputValueError: the file cannot be read, or a line is not what it should be.
    """
    if source != STDIN and Path(source).suffix.lower() == ".jsonl":
        with _opened(source) as file:
            yield _json_entries(file, source)
        return
    with open_texts(source) as texts:
        if source != STDIN and Path(source).suffix.lower() == ".parquet":
            yield map(NewEntry._make, _with_columns(texts, source))
        else:
            yield map(NewEntry, texts)


def _with_columns(texts: Iterator[str], source: str) -> Iterator[tuple[str, int | None, dict[str, Any] | None]]:
    arrow, parquet = import_pyarrow(source)
    with _opened(source) as file:
        table = parquet.ParquetFile(file)
        names = [name for name in ("key", "metadata") if name in table.schema_arrow.names]
        if not names:
            yield from ((text, None, None) for text in texts)
            return
        try:
            batches = table.iter_batches(columns=names, use_threads=False)
            rows = itertools.chain.from_iterable(batch.to_pylist() for batch in batches)
            for number, (text, row) in enumerate(zip(texts, rows, strict=True), 1):
                name = f"{source}, row {number}"
                yield text, *_beside({**row, "metadata": parsed_metadata(row.get("metadata"), name)}, name)
        except arrow.ArrowException as error:
            raise InputValueError(f"{source}: not a readable Parquet file ({error})") from error


def _beside(row: dict[str, Any], name: str) -> tuple[int | None, dict[str, Any] | None]:
    """The key and the metadata of a row or of a line's object."""
    key, metadata = row.get("key"), row.get("metadata")
    if key is not None and (isinstance(key, bool) or not isinstance(key, int)):
        raise InputValueError(f"{name}: the key is {key!r:.40}; a whole number is wanted")
    if metadata is not None and not isinstance(metadata, dict):
        raise InputValueError(f"{name}: the metadata is {type(metadata).__name__}; an object is wanted")
    return key, metadata


def read_keys(source: str) -> list[int]:
    """The keys of vectors that a file without any holds.

    Args:
        source: whole numbers, one a line, or an `.npy` file of them.

    Raises:
        InputValueError: the file cannot be read, or holds something else.
    """
    if source != STDIN and source.lower().endswith(".npy"):
        import numpy as np

        try:
            found = np.load(source, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise InputValueError(f"{source}: is no readable .npy file ({error})") from error
        if found.ndim != 1 or found.dtype.kind not in "iu":
            raise InputValueError(
                f"{source}: {found.dtype} of shape {list(found.shape)}; a list of whole numbers is wanted"
            )
        keys: list[int] = found.tolist()
        return keys
    with open_texts(source) as lines:
        return [_key(line, f"{source}, line {number}") for number, line in enumerate(lines, 1)]


def _key(line: str, name: str) -> int:
    if not (line.isascii() and line.isdecimal()):
        raise InputValueError(f"{name}: {line!r:.40} is no key; a whole number from 0 on is wanted")
    return int(line)


def _opened(source: str) -> BinaryIO:
    try:
        return Path(source).open("rb")
    except OSError as error:
        raise InputValueError(f"{source}: cannot be read ({error.strerror})") from error


def _json_entries(file: BinaryIO, source: str) -> Iterator[NewEntry]:
    for number, line in enumerate(file, 1):
        name = f"{source}, line {number}"
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputValueError(f"{name}: not JSON ({error})") from error
        row = {"text": found} if isinstance(found, str) else found
        if not isinstance(row, dict) or not isinstance(row.get("text"), str):
            raise InputValueError(f'{name}: a string, or an object with a string under "text", is wanted')
        # A misspelt "meta" shall not be dropped in silence.
        if set(row) - _ENTRY_NAMES:
            unknown = ", ".join(sorted(set(row) - _ENTRY_NAMES))
            raise InputValueError(f"{name}: has {unknown}; text, key and metadata are read (put the rest in metadata)")
        yield NewEntry(row["text"], *_beside(row, name))
