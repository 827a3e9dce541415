"""What a search returns: from found rows to keys, texts and metadata."""

from typing import Any, NamedTuple

from ..errors import IndexDamagedError
from .nearest import Found
from .records import Reader


class Hit(NamedTuple):
    """An entry that a search found.

    Attributes:
        key: the entry's.
        score: cosine of the two vectors, from -1 to 1.
        text: the entry's.
        metadata: the entry's; None if it has none.
    """

    key: int
    score: float
    text: str
    metadata: dict[str, Any] | None


def hits_of(reader: Reader, found: Found, queries: int, k: int) -> list[list[Hit]]:
    """What was found, with keys and texts; equal scores in the order of their keys, and no more than k a query.

    Raises:
        IndexDamagedError: a row has no entry, or one that is not as it was written.
    """
    records = reader.records(sorted(set(found.rows.tolist())))
    entries = {record.row: record.entry() for record in records}
    hits: list[list[Hit]] = [[] for _ in range(queries)]
    for query, row, score in zip(found.queries.tolist(), found.rows.tolist(), found.scores.tolist(), strict=True):
        if row not in entries:
            raise IndexDamagedError(f"{reader.path}: vector {row} has no entry; restore the database from a backup")
        hits[query].append(Hit(entries[row].key, score, *entries[row][1:]))
    for each in hits:
        each.sort(key=_best_first)
        del each[k:]
    return hits


def _best_first(hit: Hit) -> tuple[float, int]:
    return -hit.score, hit.key
