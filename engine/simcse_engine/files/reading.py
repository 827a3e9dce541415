"""Reading: what a file holds, one after the other, and how far its reader has come."""

from collections.abc import Callable, Iterator
from typing import BinaryIO, TypeVar

from .opening import InputFile

T = TypeVar("T")
U = TypeVar("U")


class Reading(Iterator[T]):
    """What a file holds, one after the other.

    Attributes:
        total: how large the file is, in bytes or rows; None where nobody knows, as of a pipe.
    """

    def __init__(self, items: Iterator[T], total: int | None = None, position: Callable[[], int] = int) -> None:
        """Read ``items``; ``position`` tells how much of ``total`` has been read."""
        self._items = items
        self._position = position
        self.total = total

    @classmethod
    def of(cls, items: Iterator[T], file: BinaryIO) -> "Reading[T]":
        """What is read from a file, by its bytes."""
        if isinstance(file, InputFile):
            return cls(items, file.total, lambda: file.position)
        return cls(items)

    @classmethod
    def counted(cls, items: Iterator[T], total: int | None, size: Callable[[T], int] = lambda _: 1) -> "Reading[T]":
        """What is read of ``total`` rows; ``size`` tells how many of them an item is."""
        read = 0

        def counting() -> Iterator[T]:
            nonlocal read
            for item in items:
                read += size(item)
                yield item

        return cls(counting(), total, lambda: read)

    def replaced(self, items: Iterator[U]) -> "Reading[U]":
        """Read what was made of this file's items."""
        return Reading(items, self.total, self._position)

    @property
    def position(self) -> int:
        """How much of `total` has been read, a little ahead of what has been returned."""
        return self._position()

    def __iter__(self) -> Iterator[T]:
        return self._items

    def __next__(self) -> T:
        return next(self._items)
