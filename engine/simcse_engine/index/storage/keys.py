"""Keys: what entries are known by. All keys of an index are of one kind, from its creation on."""

import itertools
import os
import re
import time
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeAlias
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from ...errors import InputTypeError, InputValueError
from ...inputs import checked_whole, python_value
from ...wording import Wording, item, shown

# What callers hand in.
Key: TypeAlias = int | str | UUID
KeyKindName = Literal["int", "str", "uuid"]
# The number after it is the next automatic key when none is left.
MAX_KEY = (1 << 64) - 2
MAX_CHARACTERS = 1000
_MAX_DIGITS = 1000
_UUID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


class KeyKind(ABC):
    """What the keys of an index are, and how they are checked, stored, compared and written.

    Attributes:
        name: of the kind, as callers choose it.
        plural: what they are, for messages.
        column: their type in SQLite.
        digest: an SQL expression of ``key``, which is the same for the same keys in any order.
        arrow: their type in Arrow, by its function's name.
        schema: of `in_json`, as JSON Schema.
        counted: whether automatic ones follow one another, so that the first tells the others.
    """

    name: ClassVar[str]
    plural: ClassVar[str]
    column: ClassVar[str]
    digest: ClassVar[str]
    arrow: ClassVar[str]
    schema: ClassVar[Mapping[str, Any]]
    counted: ClassVar[bool] = False

    @abstractmethod
    def one(self, value: object) -> Any:
        """A caller's key, or InputTypeError or InputValueError, whose message begins behind a name of the value."""

    @abstractmethod
    def of_text(self, text: str, place: str) -> Any:
        """The key that a text spells, as on a command line; errors begin with ``place``."""

    @abstractmethod
    def stored(self, key: Any) -> int | str:
        """A key as SQLite holds it."""

    @abstractmethod
    def of_stored(self, stored: Any) -> Any:
        """The key that `stored` made this of; TypeError or ValueError for what it makes of none."""

    @abstractmethod
    def ranks(self, keys: Sequence[Any]) -> NDArray[Any]:
        """Numbers that have the order of the keys."""

    @abstractmethod
    def series(self, first: int) -> Iterator[Any]:
        """Automatic keys without end; those that count begin with ``first``."""

    def in_json(self, key: Any) -> int | str:
        """A key as JSON and tables have it."""
        written: int | str = key
        return written

    def after(self, next_key: int, keys: Sequence[Any]) -> int:  # noqa: ARG002  (of those that count)
        """The next automatic key once these were added, if automatic keys count."""
        return next_key

    def behind(self, key: Any | None) -> Sequence[tuple[str, int | str]]:
        """SQL of which keys come behind one, None for all, and its parameter, which stands at ``{}``.

        Several are of keys that follow one another, while SQLite's own order is that of the keys within each.
        """
        return [("key > {}", "" if key is None else self.stored(key))]

    def automatic(self, first: int, count: int) -> list[Any]:
        """So many automatic keys; those that count begin with ``first``."""
        return list(itertools.islice(self.series(first), count))

    def checked(self, keys: Iterable[Any], count: int | None = None) -> list[Any]:
        """A caller's keys; with ``count``, so many distinct ones."""
        if isinstance(keys, str | bytes | Mapping) or not isinstance(keys, Iterable):
            raise InputTypeError(f"keys is {type(keys).__name__}; expected a list of {self.plural}")
        checked = []
        for position, key in enumerate(keys):
            try:
                checked.append(self.one(key))
            except (InputTypeError, InputValueError) as error:
                raise self._refusal(_item(position), error) from None
        if count is not None:
            if len(checked) != count:
                raise InputValueError(f"keys has {len(checked)} for {count} texts; expected one for each")
            _check_distinct(checked)
        return checked

    def checked_one(self, name: str, key: object) -> Any:
        """A caller's key, which is the argument of this name."""
        try:
            return self.one(key)
        except (InputTypeError, InputValueError) as error:
            raise self._refusal(name, error) from None

    def _refusal(self, name: str | Wording, error: InputTypeError | InputValueError) -> Exception:
        whose = f"; the keys of this index are {self.plural}" if isinstance(error, InputTypeError) else ""
        return type(error)(name, *error.args, whose)

    def of_json(self, value: object, place: str) -> Any:
        """The key that a JSON document or a table has in a row; errors begin with ``place``."""
        try:
            return self.one(value)
        except (InputTypeError, InputValueError) as error:
            raise InputValueError(f"{place}: the key", *error.args) from None


class WholeNumbers(KeyKind):
    """Whole numbers from 0 to 2**64 - 2."""

    name, plural, column, arrow = "int", "whole numbers", "INTEGER", "uint64"
    digest = "sum(key & 4294967295), sum(key >> 32)"
    schema: ClassVar[Mapping[str, Any]] = {"type": "integer", "minimum": 0, "maximum": MAX_KEY}
    counted = True

    def one(self, value: object) -> int:
        number = value if type(value) is int else _whole(value)
        if not 0 <= number <= MAX_KEY:
            raise InputValueError(f" is {shown(number)}; expected a whole number from 0 to 2**64 - 2")
        return number

    def of_text(self, text: str, place: str) -> int:
        # Python reads no number of some thousand digits.
        if not (text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS):
            raise InputValueError(f"{place}: the key is {text!r:.40}; expected a whole number from 0 to 2**64 - 2")
        number: int = self.of_json(int(text), place)
        return number

    def stored(self, key: int) -> int:
        return stored_number(key)

    def of_stored(self, stored: int) -> int:
        return number_of(stored)

    def ranks(self, keys: Sequence[int]) -> NDArray[np.uint64]:
        return np.array(keys, np.uint64)

    def series(self, first: int) -> Iterator[int]:
        yield from range(first, MAX_KEY + 1)
        raise InputValueError("there is no larger key than the largest here; give keys yourself")

    def after(self, next_key: int, keys: Sequence[int]) -> int:
        return max(next_key, max(keys) + 1)

    def behind(self, key: int | None) -> Sequence[tuple[str, int | str]]:
        stored = -1 if key is None else self.stored(key)
        # Numbers from 2**63 on are stored as negative ones.
        return [("key > {}", stored), ("key < {}", 0)] if stored >= -1 else [("key < 0 AND key > {}", stored)]


class Strings(KeyKind):
    """Strings of 1 to 1,000 characters, without NUL, at which JSON ends in SQLite."""

    name, plural, column, arrow = "str", "strings", "TEXT", "string"
    schema: ClassVar[Mapping[str, Any]] = {"type": "string", "minLength": 1, "maxLength": MAX_CHARACTERS}
    # Of the hashes of this process, which are as good as checksums while nothing keeps them, and cost less.
    digest = "sum(text_hash(key) & 4294967295)"

    def one(self, value: object) -> str:
        value = python_value(value)
        if not isinstance(value, str):
            raise InputTypeError(f" is {shown(value)}; expected a string")
        if not 0 < len(value) <= MAX_CHARACTERS:
            raise InputValueError(f" has {len(value):,} characters; expected 1 to {MAX_CHARACTERS:,}")
        if "\0" in value:
            raise InputValueError(" holds the character NUL, which no key can")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InputValueError(f" holds a lone surrogate ({value[error.start]!a}), which is no character") from error
        # Not of a type of the caller's own.
        return str.__str__(value)

    def of_text(self, text: str, place: str) -> str:
        key: str = self.of_json(text, place)
        return key

    def stored(self, key: str) -> str:
        return key

    def of_stored(self, stored: str) -> str:
        if type(stored) is not str:
            raise TypeError(f"{type(stored).__name__} is no string")
        return stored

    def ranks(self, keys: Sequence[str]) -> NDArray[np.int64]:
        return _ranks(keys)

    def series(self, first: int) -> Iterator[str]:  # noqa: ARG002
        yield from ()
        raise InputValueError(
            "the keys of this index are strings, of which none is automatic; give ",
            Wording("keys=…", 'each text a "key"'),
        )


class Uuids(KeyKind):
    """UUIDs, stored as their canonical text. Automatic ones are of version 7, so that later ones are greater."""

    name, plural, column, arrow = "uuid", "UUIDs", "TEXT", "string"
    schema: ClassVar[Mapping[str, Any]] = {"type": "string", "format": "uuid"}
    digest = Strings.digest

    def one(self, value: object) -> UUID:
        value = python_value(value)
        if isinstance(value, UUID):
            return value
        if not isinstance(value, str):
            raise InputTypeError(f" is {shown(value)}; expected a UUID")
        if not _UUID.fullmatch(value):
            raise InputValueError(f" is {shown(value)}; expected a UUID such as '{UUID(int=0)}'")
        return UUID(value)

    def of_text(self, text: str, place: str) -> UUID:
        key: UUID = self.of_json(text, place)
        return key

    def stored(self, key: UUID) -> str:
        return str(key)

    def of_stored(self, stored: str) -> UUID:
        if type(stored) is not str:
            raise TypeError(f"{type(stored).__name__} is no UUID")
        return UUID(stored)

    def in_json(self, key: UUID) -> str:
        return str(key)

    def ranks(self, keys: Sequence[UUID]) -> NDArray[np.int64]:
        return _ranks([key.int for key in keys])

    def series(self, first: int) -> Iterator[UUID]:  # noqa: ARG002
        last = 0
        while True:
            # https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-7: milliseconds, then 74 random bits, of which
            # those behind the variant count up within a millisecond.
            drawn = (time.time_ns() // 1_000_000 << 80) | 7 << 76 | _random_bits(12) << 64 | 2 << 62
            drawn |= _random_bits(61)
            last = drawn if drawn >> 80 > last >> 80 else last + 1
            yield UUID(int=last)


KEY_KINDS: Mapping[str, KeyKind] = {kind.name: kind for kind in (WholeNumbers(), Strings(), Uuids())}


def stored_number(number: int) -> int:
    """A number as SQLite's signed 64 bits hold it: those from 2**63 on as negative ones."""
    return number if number < 1 << 63 else number - (1 << 64)


def number_of(stored: int) -> int:
    """The number that `stored_number` made this of."""
    return stored & 0xFFFF_FFFF_FFFF_FFFF


def text_digest(text: str) -> int:
    """What sums of texts are made of: their CRC-32."""
    return zlib.crc32(text.encode())


def _random_bits(count: int) -> int:
    return int.from_bytes(os.urandom(8), "little") >> (64 - count)


def _ranks(values: Sequence[Any]) -> NDArray[np.int64]:
    # In Python: NumPy's strings would each take as much memory as the longest.
    ranks = np.empty(len(values), np.int64)
    ranks[sorted(range(len(values)), key=values.__getitem__)] = np.arange(len(values))
    return ranks


def _whole(value: object) -> int:
    try:
        return checked_whole("key", value)
    except InputTypeError:
        raise InputTypeError(f" is {shown(python_value(value))}; expected a whole number") from None


def _check_distinct(keys: Sequence[Any]) -> None:
    if len(set(keys)) == len(keys):
        return
    first: dict[Any, int] = {}
    for position, key in enumerate(keys):
        if first.setdefault(key, position) != position:
            raise InputValueError(_item(position), " is ", _item(first[key]), f" again ({key!s:.40})")


def _item(position: int) -> Wording:
    return item("keys", position, called="key")


def no_entry(position: int, key: Key) -> InputValueError:
    """What is wrong with a key that has no entry."""
    return InputValueError(_item(position), f" is {key!s:.40}, under which there is no entry")
