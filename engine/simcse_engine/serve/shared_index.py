"""SharedIndex: an index that many requests use at once, none of them on the event loop."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..index import Index
from ..index.batches import Additions
from ..index.checks import checked_vectors
from ..index.limits import SearchLimits
from ..index.storage.keys import Key, KeyKind

# The index commits so many at once.
_COMMIT_TEXTS = SearchLimits().window_texts
_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class NewEntries:
    """What a request adds.

    Attributes:
        texts: n of them.
        keys: a distinct one for each; None for automatic ones.
        metadata: for each an object, or None; None for none at all.
    """

    texts: Sequence[str]
    keys: Sequence[Key] | None
    metadata: Sequence[Mapping[str, Any] | None] | None

    def checked(self, kind: KeyKind) -> Self:
        """The same, with keys as an index of a kind has them; errors as of `Index.add_vectors`."""
        return replace(self, keys=Additions.checked(self.texts, self.keys, self.metadata, kind).keys)


@dataclass(frozen=True, kw_only=True)
class _Addition:
    """A request's entries, with its vectors and whoever waits for its keys."""

    entries: NewEntries
    vectors: NDArray[np.float32]  # [n, dimension], unit vectors
    future: "asyncio.Future[list[Any]]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class SharedIndex:
    """Reads in the threads that it is given, and writes in one of its own.

    What is added while a commit is under way is committed together next: a commit waits for the disk, however little it
    holds.
    """

    def __init__(self, index: Index, identity: str, reads: Executor) -> None:
        """Share an index, which the caller closes, after this; ``identity`` is that of the vectors' artifact."""
        self.index = index
        self._identity = identity
        self._reads = reads
        self._writes = ThreadPoolExecutor(1, thread_name_prefix="simcse-engine-index")
        self._waiting: deque[_Addition] = deque()
        self._committer: asyncio.Task[None] | None = None

    async def read(self, call: Callable[[Index], _T]) -> _T:
        """What ``call`` makes of the index, on a thread of the readers'."""
        return await asyncio.get_running_loop().run_in_executor(self._reads, call, self.index)

    async def checked(self, entries: NewEntries) -> NewEntries:
        """The entries as `add` takes them; raises for those that cannot be added, before they are encoded."""
        return await asyncio.get_running_loop().run_in_executor(self._reads, entries.checked, self.index.about.key_kind)

    async def add(self, entries: NewEntries, vectors: NDArray[np.float32]) -> list[Any]:
        """Add checked entries with their vectors, and return their keys once they are on the disk.

        Raises:
            SimCSEError: as `Index.add_vectors`.
        """
        unit = checked_vectors(vectors, self.index.about.dimension, count=len(entries.texts))
        addition = _Addition(entries=entries, vectors=unit)
        self._waiting.append(addition)
        if self._committer is None:
            self._committer = asyncio.create_task(self._commit())
        return await addition.future

    async def write(self, call: Callable[[Index], _T]) -> _T:
        """What ``call`` returns of a change of the index, such as `Index.remove`, once that is on the disk."""
        return await asyncio.get_running_loop().run_in_executor(self._writes, call, self.index)

    def close(self) -> None:
        """Wait for the write that is under way."""
        self._writes.shutdown()

    async def _commit(self) -> None:
        """Commit what waits, until nothing does."""
        loop = asyncio.get_running_loop()
        try:
            while group := self._next_group():
                try:
                    keys = await loop.run_in_executor(self._writes, partial(self._write, group))
                except Exception as error:
                    # Each was checked, so this is no fault of one of them: the disk, the lock, a damaged file.
                    for addition in group:
                        if not addition.future.done():
                            addition.future.set_exception(error)
                else:
                    for addition, theirs in zip(group, keys, strict=True):
                        if not addition.future.done():
                            addition.future.set_result(theirs)
        finally:
            self._committer = None

    def _next_group(self) -> list[_Addition]:
        """Take what one commit can hold: up to `_COMMIT_TEXTS`, all with automatic keys or all with others' keys."""
        group: list[_Addition] = []
        texts, keys = 0, set[Key]()
        while self._waiting:
            entries = self._waiting[0].entries
            texts += len(entries.texts)
            together = not group or (
                texts <= _COMMIT_TEXTS
                and (entries.keys is None) == (group[0].entries.keys is None)
                and keys.isdisjoint(entries.keys or ())
            )
            if not together:
                break
            addition = self._waiting.popleft()
            if addition.future.done():  # its client has left
                texts -= len(entries.texts)
                continue
            keys.update(entries.keys or ())
            group.append(addition)
        return group

    def _write(self, group: list[_Addition]) -> list[list[Any]]:
        """Add a group's entries; the keys of each."""
        all_of = [addition.entries for addition in group]
        keys = self.index.add_vectors(
            np.concatenate([addition.vectors for addition in group]),
            [text for entries in all_of for text in entries.texts],
            keys=None if all_of[0].keys is None else [key for entries in all_of for key in entries.keys or ()],
            metadata=[item for entries in all_of for item in entries.metadata or [None] * len(entries.texts)],
            identity=self._identity,
        )
        ends = np.cumsum([len(entries.texts) for entries in all_of]).tolist()
        return [keys[end - len(entries.texts) : end] for end, entries in zip(ends, all_of, strict=True)]
