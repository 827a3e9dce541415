"""Index: sentences, metadata and vectors in one folder, and the search in them.

The folder holds `index.db` (SQLite: keys, texts, metadata, and how many vectors count), `vectors-N.f32` (the vectors in
full precision), `graph-….usearch` (the ANN graph, which can be built again from them), `lock`, and `index.db-reserve`
(room on the disk, for removals when it is full). An addition writes its vectors behind those that count, flushes them,
and commits one transaction that makes them count (docs/decisions/017-index-commit-point.md).
"""

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..encoder import Encoder
from ..errors import IndexDamagedError, IndexLockedError, InputTypeError
from ..files.atomic import whole_folder
from ..inputs import checked_choice
from ..machine.cpu import usable_cpus
from ..machine.forks import ForkAware, register
from ..machine.limits import naming_limits
from .adding import Adding
from .ann.scheme import CANDIDATES_PER_HIT, GraphDType
from .asking import asked
from .binding import Artifact, Binding, about_of
from .changes import Changes
from .checks import checked_folder
from .contents import Contents
from .limits import SearchLimits
from .made import Made
from .search.hits import Hit
from .search.queries import Mode
from .search.searcher import Searcher, SearchOptions
from .search.views import Views
from .storage.keys import KeyKindName
from .storage.store import Store, create_store
from .writing import Writing


class Index(Contents, Changes, ForkAware):
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
            opened.callback(self._searcher.close)
            # Reports a missing or damaged vector file now.
            with self._views.reading(ann=False, counted=False):
                pass
            self._writing = Writing(self._views, self._limits, read_only=read_only)
            opened.callback(self._writing.close)
            self._adding = Adding(self._binding, self._writing, self._limits, about)
            self._opened = opened.pop_all()
        register("index", self)

    @classmethod
    @naming_limits
    def create(
        cls,
        folder: str | os.PathLike[str],
        artifact: Artifact,
        *,
        dtype: str = "i8",
        keys: str = "int",
        keywords: bool = False,
    ) -> Self:
        """Make an empty index, and open it for writing.

        Args:
            folder: must not exist, or be empty. It appears whole or not at all.
            artifact: encodes its texts: an artifact's folder, a hub id, or an open `Encoder`, which the caller closes.
                The index remembers its place and its identity.
            dtype: how the search graph stores a vector: "i8", "f32", "f16", "bf16" or "b1" (one bit per number). Scores
                do not depend on it, as they are computed from the full vectors. A smaller one saves memory in a large
                index.
            keys: what its keys are: "int" for whole numbers from 0 to 2**64 - 2, "str" for strings of 1 to 1,000
                characters, or "uuid" for `uuid.UUID`. `add` makes keys of the first and the last kind where none are
                given.
            keywords: whether it can be searched by words too (``search(…, mode="hybrid")``). `build_keywords` makes it
                so later.

        Raises:
            ArtifactError: the artifact is missing, damaged or newer than this engine.
            OutputError: the folder exists, or cannot be made.
            InputValueError: an unknown dtype or kind of keys, or an encoder with another ``max_tokens`` than its
                artifact's.
        """
        target = checked_folder(folder)
        checked_choice("dtype", dtype, GraphDType)
        checked_choice("keys", keys, KeyKindName)
        if not isinstance(keywords, bool):
            raise InputTypeError(f"keywords={keywords!r:.40}: expected True or False")
        about = replace(about_of(artifact, dtype, keys), keywords=keywords)
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

    def check_encoder(self, encoder: Encoder) -> None:
        """Check that an encoder's vectors compare with those here, before it encodes queries or texts for the index.

        Raises:
            IndexMismatchError: it is of another artifact, or cuts texts elsewhere.
        """
        self._binding.check(encoder)

    @naming_limits
    def search(
        self,
        queries: Sequence[str] | NDArray[np.float32],
        k: int = 5,
        *,
        threshold: float | None = None,
        where: Mapping[str, Any] | None = None,
        exact: bool | None = None,
        mode: Mode = "vector",
        keywords: Sequence[str] | None = None,
    ) -> list[list[Hit]]:
        """Find the entries that are nearest to each query, or hold its words.

        Args:
            queries: texts, which the artifact's query prompt is put before, or vectors [n, dimension] of the index's
                artifact.
            k: how many hits a query gets at most.
            threshold: the least score of a hit, inclusive.
            where: what a hit's metadata must meet, as in ``{"year": {"$gte": 2020}, "lang": "en"}``;
                `simcse_engine.index.storage.where.compile_where` has all operators.
            exact: True compares every vector; False uses the ANN graph however small the index is; None uses it above
                100,000 entries, or as many that meet ``where``.
            mode: "vector" ranks by cosines, "keywords" by the words that a query and an entry share (BM25), and
                "hybrid" joins both rankings: a hit's score is the sum of 1 / (2 + its rank) over these. The last two
                need an index of words (`create`, `build_keywords`), and take no ``threshold``.
            keywords: texts whose words are searched for, one for each query; None for the queries, if they are texts.

        Returns:
            For each query its hits, best first; equal scores by key.

        Raises:
            InputTypeError, InputValueError: an argument is wrong.
            IndexMismatchError: the artifact was replaced by another, or the vectors have another dimension.
            SearchIndexError: there is no index of words.
            IndexDamagedError: a vector or entry was altered.
        """
        options = SearchOptions.checked(k, threshold, where, exact, mode)
        return self._searcher.search(asked(self._binding, queries, mode, keywords), options)

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
