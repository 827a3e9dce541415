"""The kinds of keys: whole numbers, strings and UUIDs."""

import os
import re
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from ...errors import InputTypeError, InputValueError
from ...inputs import checked_whole, python_value
from ...wording import Wording, shown
from .keys import KeyKind

# The number after it is the next automatic key when none is left.
MAX_KEY = (1 << 64) - 2
MAX_CHARACTERS = 1000
_MAX_DIGITS = 1000
_UUID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


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
