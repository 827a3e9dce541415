"""What a search returns: from found rows to keys, texts and metadata."""

from typing import Any, NamedTuple

import numpy as np

from ...errors import IndexDamagedError
from ..storage.records import Reader
from .nearest import Found


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
    rows = np.unique(found.rows)
    records = {record.row: record for record in reader.records(rows.tolist())}
    for row in rows.tolist():
        if row not in records:
            raise IndexDamagedError(f"{reader.path}: vector {row} has no entry; restore the database from a backup")
    keys = np.array([records[row].key for row in rows.tolist()], np.uint64)
    # In arrays, as thousands may share a score: of equal texts all have been found, and the lowest keys are wanted.
    order = np.lexsort((keys[np.searchsorted(rows, found.rows)], -found.scores, found.queries))
    asked = found.queries[order]
    best = found.at(order[np.arange(len(order)) - np.searchsorted(asked, asked) < k])
    hits: list[list[Hit]] = [[] for _ in range(queries)]
    for query, row, score in zip(best.queries.tolist(), best.rows.tolist(), best.scores.tolist(), strict=True):
        key, text, metadata = records[row].entry()
        hits[query].append(Hit(key, score, text, metadata))
    return hits
