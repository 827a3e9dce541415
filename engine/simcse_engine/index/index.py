"""Index: sentences, metadata and vectors in one folder, and the search in them.

The folder holds `index.db` (SQLite: keys, texts, metadata, and how many vectors count), `vectors-N.f32` (the vectors in
full precision), `graph-….usearch` (the ANN graph, which can be built again from them), `lock`, and `index.db-reserve`
(room on the disk, for removals when it is full). An addition writes its vectors behind those that count, flushes them,
and commits one transaction that makes them count (docs/decisions/017-index-commit-point.md).
"""

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..encoder import Encoder
from ..errors import IndexDamagedError, IndexLockedError, InputValueError
from ..files.atomic import whole_folder
from ..files.entries import create_entries
from ..machine.cpu import usable_cpus
from ..machine.forks import ForkAware, register
from ..machine.limits import naming_limits
from .adding import Adding
from .ann.scheme import CANDIDATES_PER_HIT
from .batches import Additions
from .binding import Artifact, Binding, about_of
from .checks import checked_folder, checked_keys
from .info import IndexInfo, info_of
from .limits import Progress, SearchLimits
from .made import Made
from .search.hits import Hit
from .search.searcher import Searcher, SearchOptions
from .search.views import Views
from .storage.records import About, Entry
from .storage.store import Store, create_store
from .writing import Writing


class Index(ForkAware):
    """Sentences that can be searched by meaning, kept in a folder.

    Examples:
        >>> with Index.create("talks", artifact) as index:
        ...     texts = ["A man plays a guitar.", "The stock market fell."]
        ...     index.add(texts, metadata=[{"year": 2021}, {"year": 2008}])
        ...     index.search(["Someone makes music."], k=1, where={"year": {"$gte": 2020}})
        [0, 1]
        [[Hit(key=0, score=0.6203, text='A man plays a guitar.', metadata={'year': 2021})]]

    When a method has returned, what it did survives whatever happens to the process. One process may write at a time
    while any number of them read, and a search finds everything that any process added before it began. An index may be
    used from many threads at once. After a fork, the child can read; to write what its parent writes, it opens the
    index again. A fork waits up to five seconds for what other threads do with an index; if they take longer, the child
    cannot open it.

    Attributes:
        folder: the index's, as an absolute path.
        read_only: whether it refuses to write.
    """

    @naming_limits
    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        read_only: bool | None = None,
        same_model: bool = False,
        artifact: Artifact | None = None,
        limits: SearchLimits | None = None,
    ) -> None:
        """Open an index, as `Index.open` does; ``limits`` are the sizes that it works to."""
        self.folder = checked_folder(folder)
        self.read_only = bool(read_only)
        self._limits = limits or SearchLimits()
        # Only if `create` has made it just now.
        self._made: Made | None = None
        with contextlib.ExitStack() as opened:
            self._store = Store(self.folder)
            opened.callback(self._store.close)
            about = self._store.about
            if about.dtype not in CANDIDATES_PER_HIT:
                raise IndexDamagedError(f"{self.folder}: its dtype is {about.dtype!r}; upgrade simcse-engine")
            self._binding = Binding(self.folder, about, artifact, same_model=same_model)
            opened.callback(self._binding.close)
            self._views = Views(self._store, threads=usable_cpus())
            self._searcher = Searcher(self._views, self._limits)
            # Reports a missing or damaged vector file now.
            with self._views.reading(ann=False, counted=False):
                pass
            self._writing = Writing(self._views, self._limits, read_only=read_only)
            opened.callback(self._writing.close)
            self._adding = Adding(self._binding, self._writing, self._limits, about.dimension)
            self._opened = opened.pop_all()
        register("index", self)

    @classmethod
    @naming_limits
    def create(cls, folder: str | os.PathLike[str], artifact: Artifact, *, dtype: str = "f16") -> Self:
        """Make an empty index, and open it for writing.

        Args:
            folder: must not exist, or be empty. It appears whole or not at all.
            artifact: encodes its texts: an artifact's folder, a hub id, or an open `Encoder`, which the caller closes.
                The index remembers its place and its identity.
            dtype: how the search graph stores a vector: "f32", "f16", "bf16", "i8" or "b1" (one bit per number). Scores
                do not depend on it, as they are computed from the full vectors. A smaller one saves memory in a large
                index.

        Raises:
            ArtifactError: the artifact is missing, damaged or newer than this engine.
            OutputError: the folder exists, or cannot be made.
            InputValueError: an unknown dtype, or an encoder with another ``max_tokens`` than its artifact's.
        """
        target = checked_folder(folder)
        if dtype not in CANDIDATES_PER_HIT:
            raise InputValueError(f"dtype={dtype!r}: choose {', '.join(map(repr, CANDIDATES_PER_HIT))}")
        about = about_of(artifact, dtype)
        made = Made(target)
        with whole_folder(target) as staging:
            create_store(staging, about, target)
        try:
            index = cls(target, read_only=False, artifact=artifact)
        except IndexLockedError:  # by whoever was quicker, and has filled it perhaps
            raise
        except BaseException:
            made.remove()
            raise
        index._made = made
        return index

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        *,
        read_only: bool | None = None,
        same_model: bool = False,
        artifact: Artifact | None = None,
    ) -> Self:
        """Open an index, in milliseconds whatever its size; its artifact and graph are loaded when they are needed.

        Args:
            folder: the index's.
            read_only: any number of processes may read at once, beside one that writes. None reads, and becomes the one
                that writes with the first change; False becomes it at once; True refuses changes.
            same_model: accept an encoder of the same model in another precision or for another target, as in an index
                that a GPU filled in fp16 and a CPU searches in int8.
            artifact: an artifact's folder, a hub id, or an open `Encoder`, if the artifact is no longer where the index
                remembers it.

        Raises:
            IndexNotFoundError: there is no index.
            IndexLockedError: with ``read_only=False``, another process, or this one, writes it. With None, the first
                change raises it.
            IndexMismatchError: ``artifact`` is not what the index was filled with.
            IndexDamagedError, IndexVersionError: a file is missing, damaged or of a newer format.
        """
        return cls(folder, read_only=read_only, same_model=same_model, artifact=artifact)

    def __len__(self) -> int:
        """How many entries there are."""
        return self._store.state().entries

    @property
    def about(self) -> About:
        """What the index is: its artifact, identity, dimension and dtype."""
        return self._store.about

    def check_encoder(self, encoder: Encoder) -> None:
        """Check that an encoder's vectors compare with those here, before it encodes queries or texts for the index.

        Raises:
            IndexMismatchError: it is of another artifact, or cuts texts elsewhere.
        """
        self._binding.check(encoder)

    @naming_limits
    def info(self) -> IndexInfo:
        """What the index is and holds, as of now."""
        with self._store.reading() as reader:
            self._views.check_counts(reader)
            return info_of(self.folder, self.about, reader.state())

    @naming_limits
    def add(
        self,
        texts: Sequence[str],
        *,
        keys: Iterable[int] | None = None,
        metadata: Sequence[Mapping[str, Any] | None] | None = None,
        progress: Progress | None = None,
        encoded: Progress | None = None,
    ) -> list[int]:
        """Encode texts and add them; an entry with the same key is replaced.

        Every 4,096 texts are committed. After an interruption they stay, and the same call with the same keys goes on
        from there: a text that stands under its key already is not encoded again. With keys, Ctrl-C also commits what
        has been encoded since.

        Args:
            texts: any number of texts, which the artifact's document prompt is put before.
            keys: a distinct whole number from 0 to 2**64 - 2 for each; None for the numbers after the largest key that
                the index has ever had.
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
        return self._adding.texts(Additions.checked(texts, keys, metadata), progress, encoded)

    @naming_limits
    def add_vectors(
        self,
        vectors: NDArray[np.float32],
        texts: Sequence[str],
        *,
        keys: Iterable[int] | None = None,
        metadata: Sequence[Mapping[str, Any] | None] | None = None,
        identity: str | None = None,
        progress: Progress | None = None,
    ) -> list[int]:
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
        additions = Additions.checked(texts, keys, metadata)
        return self._adding.vectors(additions, vectors, identity, progress)

    @naming_limits
    def add_from(
        self,
        path: str | os.PathLike[str],
        *,
        texts: Sequence[str] | None = None,
        keys: Iterable[int] | None = None,
        text_column: str | None = None,
        progress: Progress | None = None,
    ) -> list[int]:
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
    def remove(self, keys: Iterable[int]) -> int:
        """Remove entries, all at once; on a full disk as many at once as there is space for.

        Args:
            keys: of the entries; those without an entry are ignored.

        Returns:
            How many entries were removed.
        """
        return self._writing.writer().remove(list(dict.fromkeys(checked_keys(keys))))

    @naming_limits
    def get(self, keys: Iterable[int]) -> list[Entry | None]:
        """The entries under these keys, in their order; None where there is none."""
        checked = checked_keys(keys)
        with self._store.reading() as reader:
            self._views.check_counts(reader)
            entries = {record.key: record.entry() for record in reader.records_of(list(set(checked)))}
            if not all(key in entries for key in checked):
                self._views.check_keys(reader)
        return [entries.get(key) for key in checked]

    @naming_limits
    def search(
        self,
        queries: Sequence[str] | NDArray[np.float32],
        k: int = 5,
        *,
        threshold: float | None = None,
        where: Mapping[str, Any] | None = None,
        exact: bool | None = None,
    ) -> list[list[Hit]]:
        """Find the entries that are nearest to each query.

        Args:
            queries: texts, which the artifact's query prompt is put before, or vectors [n, dimension] of the index's
                artifact.
            k: how many hits a query gets at most.
            threshold: the least score of a hit, inclusive.
            where: what a hit's metadata must meet, as in ``{"year": {"$gte": 2020}, "lang": "en"}``;
                `simcse_engine.index.storage.where.compile_where` has all operators.
            exact: True compares every vector; False uses the ANN graph however small the index is; None uses it above
                20,000 entries, or above 10,000 that meet ``where``.

        Returns:
            For each query its hits, best first; equal scores by key.

        Raises:
            InputTypeError, InputValueError: an argument is wrong.
            IndexMismatchError: the artifact was replaced by another, or the vectors have another dimension.
            IndexDamagedError: a vector or entry was altered.
        """
        options = SearchOptions.checked(k, threshold, where, exact)
        return self._searcher.search(self._binding.queries(queries), options)

    @naming_limits
    def checkpoint(self) -> None:
        """Bring the ANN graph up to date and save it; a damaged one is built again.

        `add` and `close` do this from time to time. Call it to make the next searches faster.
        """
        self._writing.writer().checkpoint()

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

    @naming_limits
    def export(self, path: str | os.PathLike[str], *, progress: Progress | None = None) -> int:
        """Write all entries into a file, which appears whole or not at all.

        Args:
            path: `.parquet` or `.arrow` (both need ``simcse-engine[arrow]``) with the columns ``key`` (uint64),
                ``text``, ``metadata`` (JSON) and ``vector`` (float32, unit length), or `.jsonl` with these names.
            progress: called with a number of entries whenever so many more are written.

        Returns:
            How many entries there are.

        Raises:
            InputValueError: another suffix, or pyarrow is missing.
            OutputError: the file cannot be written.
        """
        count = 0
        with (
            create_entries(Path(path), self.about.dimension, self.about.identity) as write,
            self._views.reading(ann=False) as (reader, view),
        ):
            for page in reader.pages():
                rows, keys, texts, metadata = zip(*page, strict=True)
                write(keys, texts, metadata, view.vectors.take(np.array(rows)))
                count += len(page)
                if progress is not None:
                    progress(len(page))
        return count

    def take_back(self) -> bool:
        """Close an index that `create` has made, and remove it, if nothing was added since.

        Returns:
            Whether it was removed.
        """
        if self._made is None or self._store.state().rows:
            return False
        # The lock is held meanwhile.
        self._store.close()
        self._made.remove()
        self._writing.release()
        self.close()
        return True

    @naming_limits
    def close(self) -> None:
        """Save the ANN graph if it lacks many entries, and let others write. Closing twice is fine."""
        self._opened.close()

    def _after_fork_in_child(self) -> None:
        self._views.after_fork()
        self._searcher.after_fork()
        self._binding.after_fork()
        self._writing.after_fork()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            # Whoever has interrupted waits for the end, and not for the ANN graph.
            self._writing.release()
        self.close()

    def __repr__(self) -> str:
        about = self.about
        return f"<Index {str(self.folder)!r}: dimension {about.dimension}, {about.dtype}, artifact {about.artifact!r}>"
