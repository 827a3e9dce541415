"""Batches: the entries that one commit adds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .blocks import blocks


class VanishedError(Exception):
    """Entries that were known are gone, so that they need vectors now.

    Attributes:
        positions: theirs in the batch.
    """

    def __init__(self, positions: list[int]) -> None:
        super().__init__(f"{len(positions)} entries are gone")
        self.positions = positions


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The entries that one commit adds.

    Attributes:
        texts: n of them.
        keys: n of them; None for automatic ones.
        metadata: n of them, as JSON or None.
        vectors: float32 [n, dimension], unit vectors; those of known entries have any content.
        known: bool [n], which texts stand under their keys already, so that their vectors do too.
    """

    texts: Sequence[str]
    keys: Sequence[int] | None
    metadata: Sequence[str | None]
    vectors: NDArray[np.float32]
    known: NDArray[np.bool_]

    def with_vectors(self, positions: list[int], vectors: NDArray[np.float32]) -> "Batch":
        """The same batch, in which the entries at ``positions`` are not known, but have these vectors."""
        filled, known = self.vectors.copy(), self.known.copy()
        filled[positions], known[positions] = vectors, False
        return replace(self, vectors=filled, known=known)


def batches(
    texts: Sequence[str],
    keys: Sequence[int] | None,
    metadata: Sequence[str | None],
    vectors: Iterator[NDArray[np.float32]],
    *,
    known: NDArray[np.bool_],
    dimension: int,
    size: int,
) -> Iterator[Batch]:
    """Cut entries into batches.

    Args:
        texts: of all entries.
        keys: of all entries; None for automatic ones.
        metadata: of all entries.
        vectors: float32 [m, dimension] each, m varying; concatenated, the vectors of all entries that are not known.
            They are taken as they are needed, and to their end, where an encoder warns of texts that it has cut.
        known: bool [entries].
        dimension: floats per vector.
        size: entries per batch.
    """
    rest = np.empty((0, dimension), np.float32)
    for first, last in blocks(0, len(texts), size):
        part = slice(first, last)
        new = np.flatnonzero(~known[part])
        filled = np.empty((last - first, dimension), np.float32)
        while len(new):
            rest = rest if len(rest) else next(vectors)
            taken = min(len(new), len(rest))
            filled[new[:taken]] = rest[:taken]
            new, rest = new[taken:], rest[taken:]
        yield Batch(
            texts=texts[part],
            keys=None if keys is None else keys[part],
            metadata=metadata[part],
            vectors=filled,
            known=known[part],
        )
    for _ in vectors:
        pass
