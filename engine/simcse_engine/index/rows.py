"""Rows: what becomes of an index's rows within one transaction, which its caller commits."""

import contextlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..files.refusals import as_output_error
from .batches import Batch, VanishedError
from .limits import blocks
from .search.views import Views
from .storage.changes import Change
from .storage.keys import Key, KeyKind, no_entry
from .storage.records import Record, State
from .storage.reserve import Reserve
from .storage.vectors import VectorWriter, vector_file_name
from .storage.where import Condition

# Entries whose texts and vectors an update has in memory at once.
_BLOCK_ROWS = 4096


class Rows:
    """Adds and buries rows; for the writer alone, whose lock and turn are held meanwhile."""

    def __init__(self, views: Views, reserve: Reserve) -> None:
        self._views = views
        self._store = views.store
        self._reserve = reserve
        # One for all additions, as later UUIDs of a millisecond count up from those before.
        self._uncounted = self._store.about.key_kind.series(0)

    def add(self, change: Change, batch: Batch) -> list[Key]:
        """Add a batch, and return its keys; VanishedError if known entries are gone."""
        state = change.state()
        kind = self._store.about.key_kind
        keys = self._automatic(kind, state, len(batch.texts)) if batch.keys is None else list(batch.keys)
        stored = {record.key: record for record in change.records_of(keys)}
        known = np.flatnonzero(batch.known).tolist()
        vanished = [i for i in known if keys[i] not in stored or stored[keys[i]].text != batch.texts[i]]
        if vanished:
            raise VanishedError(vanished)
        if known:
            # Rows never change: with other metadata a known entry gets a new row, and its vector once more. Those that
            # stay are read too, since this acknowledges them: a damaged one raises.
            view = self._views.view(change, state, ann=False)
            batch = batch.with_vectors(known, view.vectors.take(np.array([stored[keys[i]].row for i in known])))
        unchanged = {i for i in known if stored[keys[i]].metadata == batch.metadata[i]}
        new = [i for i in range(len(keys)) if i not in unchanged]
        if new:
            replaced = [stored[keys[i]].row for i in new if keys[i] in stored]
            next_row = itertools.count(state.rows)
            records = [Record(next(next_row), keys[i], batch.texts[i], batch.metadata[i]) for i in new]
            next_key = kind.after(state.next_key, keys)
            self._append(change, replace(state, next_key=next_key), replaced, records, batch.vectors[new])
        return keys

    def _automatic(self, kind: KeyKind, state: State, count: int) -> list[Key]:
        """So many automatic keys; `Additions` has refused those whose kind has none."""
        if kind.counted:
            return kind.automatic(state.next_key, count)
        return list(itertools.islice(self._uncounted, count))

    def update(self, change: Change, keys: Sequence[Key], metadata: Sequence[str | None], *, merge: bool) -> int:
        """Give the entries under distinct keys other metadata, and return how many had others before.

        InputValueError for a key without an entry.
        """
        state = change.state()
        # One view of what is committed: of rows that are not yet, none may be remembered.
        view = self._views.view(change, state, ann=False)
        changed = 0
        for first, last in blocks(0, len(keys), _BLOCK_ROWS):
            stored = {record.key: record for record in change.records_of(keys[first:last])}
            replaced: list[int] = []
            records: list[Record] = []
            for position in range(first, last):
                record = stored.get(keys[position])
                if record is None:
                    self._views.check_keys(change)
                    raise no_entry(position, keys[position])
                content = metadata[position]
                if merge:
                    content = _merged(record, content)
                if content != record.metadata:
                    records.append(Record(state.rows + len(records), record.key, record.text, content))
                    replaced.append(record.row)
            if records:
                state = self._append(change, state, replaced, records, view.vectors.take(np.array(replaced)))
                changed += len(records)
        return changed

    def chosen(self, change: Change, which: Sequence[Key] | Condition) -> list[int]:
        """The rows of the entries under these keys, or of those that pass a filter."""
        if isinstance(which, Condition):
            rows: list[int] = change.matching(which, 0, change.state().rows).tolist()
            return rows
        return [record.row for record in change.records_of(which)]

    def _append(
        self,
        change: Change,
        state: State,
        replaced: Sequence[int],
        records: Sequence[Record],
        vectors: NDArray[np.float32],
    ) -> State:
        """Write records in place of the ``replaced`` rows, in rows behind those of ``state``; the state after that."""
        path = self._store.folder / vector_file_name(state.generation)
        with as_output_error(path), contextlib.closing(VectorWriter(path, self._store.about.dimension)) as file:
            file.write(state.rows, vectors)
        change.bury(replaced)
        change.insert(records)
        state = replace(state, rows=state.rows + len(records))
        change.set_state(state)
        with as_output_error(change.path):
            self._reserve.take(change.reserved())
        return state


def _merged(record: Record, fields: str | None) -> str | None:
    """A record's metadata with these fields, JSON too, in place of its own; None and no fields change nothing."""
    if fields in (None, "{}"):
        return record.metadata
    return json.dumps({**(record.entry().metadata or {}), **json.loads(fields)}, ensure_ascii=False)
