"""Bars on stderr, where that is a terminal: how much of a command's work is done, how fast, and for how long still."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..files.reading import Reading
    from ..shards.plan import Part
    from ..shards.worker import Progress


class Bar:
    """A bar, to be closed; `advance` moves it."""

    def __init__(self, unit: str, total: int | None = None) -> None:
        """Show a bar of ``total`` units, or of nobody knows how many."""
        # Imported lazily, as few commands show one.
        from tqdm import tqdm

        # disable=None: no bar where stderr is no terminal. The least that moves it is one run of the encoder.
        self._bar = tqdm(total=total, unit=f" {unit}", disable=None, miniters=1)

    def advance(self, count: int) -> None:
        """Count so many more units as done."""
        self._bar.update(count)

    def advance_texts(self, count: int, reading: "Reading[Any] | None", read: int) -> None:
        """Count so many more texts of a file as done.

        How many it has is known once it has been read; until then, by the share of it in which there were ``read``.
        """
        if reading is not None and reading.total and reading.position:
            self._bar.total = max(read, round(read * reading.total / reading.position))
        self.advance(count)

    def close(self) -> None:
        """End the bar's line."""
        self._bar.close()


@contextlib.contextmanager
def bar_of_parts(parts: "Sequence[Part]") -> "Iterator[Progress]":
    """A bar of all parts' texts.

    How many they are is known once all files are counted; until then, by the share of their bytes that is done.
    """
    from ..files.reading import Reading

    known = all(part.ranges is not None for part in parts)
    bar = Bar("texts", sum(part.rows for part in parts) if known else None)
    read, read_bytes = 0, 0
    share: Reading[None] = Reading(iter(()), sum(part.bytes for part in parts), lambda: read_bytes)

    def advance(texts: int, part: "Part | None" = None) -> None:
        nonlocal read, read_bytes
        read += texts
        read_bytes += 0 if part is None else part.bytes
        bar.advance_texts(texts, None if known or part is None else share, read)

    with contextlib.closing(bar):
        yield advance
