"""Adding: texts that are encoded, vectors that are there, or a file of either, in batches that are committed."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..encoder import Encoder
from ..errors import InputValueError
from ..files.blocks import Block
from ..files.new_entries import open_entries
from ..inputs import checked_sequence, part_of
from ..machine.limits import naming_limits
from ..pipeline import Rescued
from .batches import Additions, VanishedError
from .binding import Binding
from .checks import checked_vectors
from .limits import Progress, SearchLimits
from .storage.keys import Key
from .storage.records import About
from .writing import Writing


class Adding:
    """What adds to one open index, and returns the keys; `Index.add` and its kin explain the arguments and errors."""

    def __init__(self, binding: Binding, writing: Writing, limits: SearchLimits, about: About) -> None:
        self._binding = binding
        self._writing = writing
        self._size = limits.window_texts
        self._dimension = about.dimension
        self._kind = about.key_kind

    def checked(
        self,
        texts: Sequence[str],
        keys: Iterable[Key] | None,
        metadata: Sequence[Mapping[str, Any] | None] | None,
    ) -> Additions:
        """Check what a caller adds."""
        return Additions.checked(texts, keys, metadata, self._kind)

    def texts(self, additions: Additions, progress: Progress | None, encoded: Progress | None) -> list[Key]:
        """Encode those that do not stand under their keys already, and add all."""
        writer = self._writing.writer()
        if not additions.texts:
            return []
        encoder = self._binding.encoder()
        known = writer.known(additions.texts, additions.keys)
        new_texts = (additions.texts[i] for i in np.flatnonzero(~known).tolist())
        if encoded is not None and known.any():
            encoded(int(known.sum()))
        rescued = Rescued()
        vectors = self._encoded(encoder, new_texts, encoded, rescued)
        return self._commit(additions, vectors, progress, known, rescued)

    def vectors(
        self,
        additions: Additions,
        vectors: NDArray[np.float32],
        identity: str | None,
        progress: Progress | None,
        prompt: str | None = None,
    ) -> list[Key]:
        """Add texts with their vectors, which were made behind a ``prompt`` if that is known."""
        self._binding.check_identity(identity)
        self._binding.check_prompt(prompt)
        unit = checked_vectors(vectors, self._dimension, count=len(additions.texts))
        self._writing.writer()
        return self._commit(additions, iter([unit]), progress)

    def file(
        self,
        path: str,
        texts: Sequence[str] | None,
        keys: Iterable[Key] | None,
        text_column: str | None,
        progress: Progress | None,
    ) -> list[Key]:
        """Add what a file holds."""
        self._writing.writer()
        if texts is not None:
            texts = list(checked_sequence(texts))
        given = None
        if keys is not None:
            if texts is None:
                raise InputValueError(f"{path}: keys=… is for .npy; other files bring theirs themselves")
            given = iter(self._kind.checked(keys, len(texts)))
        added: list[Key] = []
        with open_entries(path, self._kind, texts=texts, text_column=text_column) as blocks:
            for block in blocks:
                block_keys = block.keys if given is None else list(itertools.islice(given, len(block.texts)))
                with part_of(path, len(added), len(block.texts)):
                    added += self.block(block, block_keys, progress)
        return added

    @naming_limits
    def block(
        self, block: Block, keys: list[Key] | None, progress: Progress | None, encoded: Progress | None = None
    ) -> list[Key]:
        """Add a part of a file under ``keys``."""
        additions = self.checked(block.texts, keys, block.metadata)
        if block.vectors is None:
            return self.texts(additions, progress, encoded)
        return self.vectors(additions, block.vectors, block.identity, progress, block.prompt)

    def _encoded(
        self, encoder: Encoder, texts: Iterator[str], progress: Progress | None, rescued: Rescued
    ) -> Iterator[NDArray[np.float32]]:
        try:
            yield from map(self._binding.unit, encoder.stream_or_rescue(texts, progress, rescued))
        except KeyboardInterrupt:
            if len(rescued.positions):
                rescued.vectors = self._binding.unit(rescued.vectors)
            raise

    def _commit(
        self,
        additions: Additions,
        vectors: Iterator[NDArray[np.float32]],
        progress: Progress | None,
        known: NDArray[np.bool_] | None = None,
        rescued: Rescued | None = None,
    ) -> list[Key]:
        keys: list[Key] = []
        for batch in additions.batches(
            vectors, known=known, rescued=rescued, dimension=self._dimension, size=self._size
        ):
            while True:
                try:
                    keys += self._writing.writer().add(batch, progress)
                    break
                except VanishedError as vanished:
                    # Removed or replaced since they were looked for: encoded after all.
                    texts = [batch.texts[i] for i in vanished.positions]
                    encoded = self._binding.unit(self._binding.encoder().encode_document(texts))
                    batch = batch.with_vectors(vanished.positions, encoded)
        return keys
