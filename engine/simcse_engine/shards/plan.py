"""The plan: what there is to encode, as parts that one worker does each, and what is left of it. Pure functions.

A Parquet file is read from any row on, so that its shards are parts of their own. Any other file is read from its
beginning, so that it is one part, whose shards one worker writes in turn.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from ..files.arrow import PARQUET
from ..files.opening import suffix_of
from .sources import Source


class Range(NamedTuple):
    """Rows of a source, from ``start`` to before ``stop``: those of a shard."""

    start: int
    stop: int


@dataclass(frozen=True, kw_only=True)
class Part:
    """What a worker does at a time.

    Attributes:
        source: what it reads.
        ranges: the shards that it writes, in their order; None for all of a source whose rows nobody has counted.
    """

    source: Source
    ranges: tuple[Range, ...] | None

    @property
    def rows(self) -> int:
        """How many rows; 0 where nobody has counted them."""
        return sum(each.stop - each.start for each in self.ranges or ())

    @property
    def bytes(self) -> int:
        """About how much of the source it reads."""
        if self.ranges is None or not self.source.rows:
            return self.source.size
        return self.source.size * self.rows // self.source.rows


def ranges_of(rows: int, shard_rows: int) -> list[Range]:
    """The shards of so many rows; those of no rows are one, which says that there are none.

    >>> ranges_of(5, 2)
    [Range(start=0, stop=2), Range(start=2, stop=4), Range(start=4, stop=5)]
    """
    return [Range(start, min(start + shard_rows, rows)) for start in range(0, max(rows, 1), shard_rows)]


def is_shard(part: Range, rows: int, shard_rows: int) -> bool:
    """Whether this is one of `ranges_of`."""
    start, stop = part
    return start % shard_rows == 0 and 0 <= start < max(rows, 1) and stop == min(start + shard_rows, rows)


def parts_left(sources: Iterable[Source], shard_rows: int, finished: Mapping[str, Iterable[Range]]) -> list[Part]:
    """What is left to do.

    Args:
        sources: all of them, with their rows where these are known: from the file, or from a finished shard of it.
        shard_rows: rows of a shard.
        finished: the shards that are there, by their source's name.
    """
    parts = []
    for source in sources:
        if source.rows is None:
            parts.append(Part(source=source, ranges=None))
            continue
        there = {*finished.get(source.name, ())}
        left = tuple(each for each in ranges_of(source.rows, shard_rows) if each not in there)
        if suffix_of(source.path) == PARQUET:
            parts += [Part(source=source, ranges=(each,)) for each in left]
        elif left:
            parts.append(Part(source=source, ranges=left))
    return parts


def with_rows(source: Source, rows: int | None) -> Source:
    """A source whose rows may be known by now."""
    return source if rows is None else replace(source, rows=rows)
