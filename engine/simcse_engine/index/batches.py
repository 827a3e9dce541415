"""What a call adds, and the batches that are committed one by one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..inputs import check_texts, checked_sequence
from ..pipeline import Rescued
from .checks import checked_metadata
from .limits import blocks
from .storage.keys import Key, KeyKind


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
    keys: Sequence[Key] | None
    metadata: Sequence[str | None]
    vectors: NDArray[np.float32]
    known: NDArray[np.bool_]

    def with_vectors(self, positions: list[int], vectors: NDArray[np.float32]) -> "Batch":
        """The same batch, in which the entries at ``positions`` are not known, but have these vectors."""
        filled, known = self.vectors.copy(), self.known.copy()
        filled[positions], known[positions] = vectors, False
        return replace(self, vectors=filled, known=known)


@dataclass(frozen=True, kw_only=True)
class Additions:
    """The entries that one call adds.

    Attributes:
        texts: n of them.
        keys: n of them; None for automatic ones.
        metadata: n of them, as JSON or None.
    """

    texts: list[str]
    keys: list[Key] | None
    metadata: list[str | None]

    @classmethod
    def checked(
        cls,
        texts: Sequence[str],
        keys: Iterable[Key] | None,
        metadata: Sequence[Mapping[str, Any] | None] | None,
        kind: KeyKind,
    ) -> Self:
        """Check what a caller adds, under keys of a kind."""
        # A list, so that positions count from here on: pandas reads its series by label.
        texts = list(checked_sequence(texts))
        check_texts(texts)
        if keys is None and texts:
            # Raises where keys cannot be made, before anything is encoded.
            kind.automatic(0, 1)
        return cls(
            texts=texts,
            keys=None if keys is None else kind.checked(keys, len(texts)),
            metadata=checked_metadata(metadata, len(texts)),
        )

    def batches(
        self,
        vectors: Iterator[NDArray[np.float32]],
        *,
        known: NDArray[np.bool_] | None = None,
        rescued: Rescued | None = None,
        dimension: int,
        size: int,
    ) -> Iterator[Batch]:
        """Cut the entries into batches of ``size``.

        Args:
            vectors: float32 [m, dimension] each, m varying; concatenated, the vectors of all entries that are not
                known. They are taken as they are needed, and to their end, where an encoder warns of texts it has cut.
            known: as in `Batch`; None for none.
            rescued: where ``vectors`` leaves what it has of the next ones when it is interrupted.
            dimension: floats per vector.
            size: entries per batch.
        """
        if known is None:
            known = np.zeros(len(self.texts), np.bool_)
        rescued = Rescued() if rescued is None else rescued
        rest, yielded = np.empty((0, dimension), np.float32), 0
        for first, last in blocks(0, len(self.texts), size):
            part = slice(first, last)
            new = np.flatnonzero(~known[part])
            filled = np.empty((last - first, dimension), np.float32)
            while len(new):
                try:
                    rest = rest if len(rest) else next(vectors)
                except KeyboardInterrupt:
                    # What is encoded so far stays, where its keys tell what is missing.
                    if self.keys is not None:
                        done = np.setdiff1d(np.arange(first, last), new + first)
                        late = np.flatnonzero(~known)[yielded + rescued.positions]
                        if len(done):
                            yield self._batch(done, filled[done - first], known[done])
                        if len(late):
                            yield self._batch(late, rescued.vectors, known[late])
                    raise
                taken = min(len(new), len(rest))
                yielded += taken
                filled[new[:taken]] = rest[:taken]
                new, rest = new[taken:], rest[taken:]
            yield self._batch(range(first, last), filled, known[part])
        for _ in vectors:
            pass

    def _batch(self, positions: Iterable[int], vectors: NDArray[np.float32], known: NDArray[np.bool_]) -> Batch:
        positions = list(positions)
        return Batch(
            texts=[self.texts[i] for i in positions],
            keys=None if self.keys is None else [self.keys[i] for i in positions],
            metadata=[self.metadata[i] for i in positions],
            vectors=vectors,
            known=known,
        )
