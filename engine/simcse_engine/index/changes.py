"""Changes: what callers do to an index's entries, each acknowledged once it is on the disk."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputTypeError
from ..machine.limits import naming_limits
from ..wording import Wording
from .adding import Adding
from .checks import checked_metadata
from .limits import Progress
from .storage.keys import Key
from .storage.store import Store
from .storage.where import Condition, compile_where
from .writing import Writing


class Changes:
    """The half of `simcse_engine.index.Index` that changes it."""

    _adding: Adding
    _store: Store
    _writing: Writing

    @naming_limits
    def add(
        self,
        texts: Sequence[str],
        *,
        keys: Iterable[Key] | None = None,
        metadata: Sequence[Mapping[str, Any] | None] | None = None,
        progress: Progress | None = None,
        encoded: Progress | None = None,
    ) -> list[Any]:
        """Encode texts and add them; an entry with the same key is replaced.

        Every 4,096 texts are committed. After an interruption they stay, and the same call with the same keys goes on
        from there: a text that stands under its key already is not encoded again. With keys, Ctrl-C also commits what
        has been encoded since.

        Args:
            texts: any number of texts, which the artifact's document prompt is put before.
            keys: a distinct one for each, of the kind that the index was made with (`Index.create`). A UUID may be
                given as its canonical text. None for automatic ones: the numbers after the largest key that the index
                has ever had, or UUIDs of version 7, which rise with the time; strings are never automatic.
            metadata: for each a dict of what JSON can hold, or None. A replaced entry loses its own.
            progress: called with a number of texts whenever so many more are committed.
            encoded: the same, whenever so many more are encoded, or found to be there: sooner and more often.

        Returns:
            The keys.

        Raises:
            InputTypeError, InputValueError: an argument is wrong; nothing was added.
            IndexMismatchError: the artifact was replaced by another.
            OutputError: the disk is full. What was committed stays.
            SearchIndexError: the index was opened only for reading.
        """
        return self._adding.texts(self._adding.checked(texts, keys, metadata), progress, encoded)

    @naming_limits
    def add_vectors(
        self,
        vectors: NDArray[np.float32],
        texts: Sequence[str],
        *,
        keys: Iterable[Key] | None = None,
        metadata: Sequence[Mapping[str, Any] | None] | None = None,
        identity: str | None = None,
        progress: Progress | None = None,
    ) -> list[Any]:
        """Add texts whose vectors have been computed already.

        Args:
            vectors: [n, dimension], of any length; they are stored at unit length.
            texts: a text for each.
            keys: as for `add`.
            metadata: as for `add`.
            identity: of the artifact that made the vectors (``encoder.manifest.identity``), if it is known. The vectors
                do not tell, and no search finds those of another model.
            progress: as for `add`.

        Returns:
            The keys.

        Raises:
            IndexMismatchError: another identity or dimension than the index's.
            InputTypeError, InputValueError: as for `add`; also vectors with NaN, or of length zero.
        """
        additions = self._adding.checked(texts, keys, metadata)
        return self._adding.vectors(additions, vectors, identity, progress)

    @naming_limits
    def add_from(
        self,
        path: str | os.PathLike[str],
        *,
        texts: Sequence[str] | None = None,
        keys: Iterable[Key] | None = None,
        text_column: str | None = None,
        progress: Progress | None = None,
    ) -> list[Any]:
        """Add the entries of a file: texts to encode, an `export` of another index, or other vectors.

        Args:
            path: `.jsonl` with objects, or `.csv`, `.tsv`, `.parquet` or `.arrow` (IPC file) with columns: ``text``,
                and optionally ``key`` and ``metadata`` (an object, or its JSON). All other fields and columns are
                metadata too. With a ``vector`` (a list of floats; not in `.csv` and `.tsv`) nothing is encoded. `.npy`
                holds vectors alone, [n, dimension]. Any other file is UTF-8 with one text per line. All but `.parquet`,
                `.arrow` and `.npy` may be compressed, as in `.jsonl.gz` and `.txt.zst`, and be pipes.
            texts: those of an `.npy` file, which holds none.
            keys: those of an `.npy` file; None for automatic ones.
            text_column: the field or column of the texts, if it is not ``text``.
            progress: as for `add`.

        Returns:
            The keys.

        Raises:
            IndexMismatchError: the file states another artifact, or a prompt that is not the one for documents; or its
                vectors have another dimension.
            InputValueError: the file cannot be read, or lacks something. What was committed before stays.
        """
        return self._adding.file(os.fspath(path), texts, keys, text_column, progress)

    @naming_limits
    def update(self, keys: Iterable[Key], metadata: Sequence[Mapping[str, Any] | None], *, merge: bool = False) -> int:
        """Give entries other metadata, all at once; their texts are not encoded again.

        Each that changes takes the space of another vector until `compact`, and goes to the end of their order.

        Args:
            keys: distinct ones, of the entries.
            metadata: for each a dict of what JSON can hold, in place of what the entry has; None for nothing.
            merge: keep the fields that the dict does not have; None keeps them all.

        Returns:
            How many entries had other metadata before.

        Raises:
            InputTypeError, InputValueError: an argument is wrong, or a key has no entry; nothing was changed.
            OutputError: the disk is full; nothing was changed.
        """
        kind = self._store.about.key_kind
        checked = kind.checked(keys)
        checked = kind.checked(checked, len(checked))  # distinct
        if metadata is None:
            raise InputTypeError("metadata is NoneType; expected a list with a dict or None for each key")
        documents = checked_metadata(metadata, len(checked), of="key")
        return self._writing.writer().update(checked, documents, merge=merge)

    @naming_limits
    def remove(self, keys: Iterable[Key] | None = None, *, where: Mapping[str, Any] | None = None) -> int:
        """Remove entries, all at once; on a full disk as many at once as there is space for.

        Args:
            keys: of the entries; those without an entry are ignored.
            where: in place of keys, what the metadata of an entry must meet, as for `search`. ``{}`` is met by all.

        Returns:
            How many entries were removed.

        Raises:
            InputTypeError, InputValueError: an argument is wrong, or there are both or none; nothing was removed.
        """
        which: list[Key] | Condition
        if keys is not None and where is None:
            which = list(dict.fromkeys(self._store.about.key_kind.checked(keys)))
        elif where is not None and keys is None:
            which = compile_where(where)
        else:
            raise InputTypeError(
                Wording("remove takes keys or where, one of them", "give keys or --where, one of them")
            )
        return self._writing.writer().remove(which)

    @naming_limits
    def checkpoint(self) -> None:
        """Bring the ANN graph up to date and save it; a damaged one is built again.

        `add` and `close` do this from time to time. Call it to make the next searches faster.
        """
        self._writing.writer().checkpoint()

    @naming_limits
    def build_keywords(self) -> None:
        """Make an index of the entries' words, for an index that was made without one, or in place of a damaged one.

        It takes some seconds for a million entries, and the space of their texts. From then on it keeps in step.
        """
        self._writing.writer().build_keywords()

    @naming_limits
    def compact(self, *, progress: Progress | None = None) -> None:
        """Drop what was removed or replaced, build the ANN graph anew, and give the space back.

        Searches go on meanwhile. It needs space for a second copy until it is done; if it is interrupted, the index
        stays as it was.

        Args:
            progress: called with a number of entries whenever so many more are copied, and in the graph.

        Raises:
            DiskFullError: there is not so much space; the message says how much. Without entries that can be done
                without (`remove`, which a full disk lets through), it needs less.
        """
        self._writing.writer().compact(progress)
