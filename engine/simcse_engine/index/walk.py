"""Walk: all entries of one state of an index, or those that pass a filter, page by page."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..errors import IndexDamagedError, SearchIndexError
from ..machine.limits import naming_limits
from .limits import blocks
from .search.searcher import Searcher
from .search.views import View, Views
from .storage.hold import Hold
from .storage.records import Record, State
from .storage.store import Store
from .storage.transactions import Reader
from .storage.where import Condition

_PAGE_ROWS = 2048


def walk(
    views: Views, searcher: Searcher, condition: Condition | None
) -> Iterator[tuple[list[Record], NDArray[np.int64], View]]:
    """Yield pages of records, in the order of their rows, with these rows and the view that has their vectors.

    All pages are of the state as of the first. SQLite keeps it while the caller does whatever lies between two pages.
    """
    hold = Hold()
    try:
        with naming_limits, views.reading(ann=False, hold=hold) as (reader, view):
            if condition is not None:
                view = searcher.passing(condition, view, reader)
        rows = np.flatnonzero(view.alive)
        for first, last in blocks(0, len(rows), _PAGE_ROWS):
            yield _page(views.store, hold, view.state, rows[first:last]), rows[first:last], view
    finally:
        views.store.release(hold)


@naming_limits
def _page(store: Store, hold: Hold, state: State, rows: NDArray[np.int64]) -> list[Record]:
    with store.reading(hold) as reader:
        _check_same(reader, state)
        records = list(map(Record, *reader.columns(rows.tolist())))
    if len(records) < len(rows):
        raise IndexDamagedError(f"{store.folder}: entries are missing from the database; restore a backup")
    return records


def _check_same(reader: Reader, begun: State) -> None:
    """Raise unless all rows of a state are there still: another one follows where nothing could keep the first."""
    state = reader.state()
    if (state.generation, state.deaths) != (begun.generation, begun.deaths):
        raise SearchIndexError(
            f"{reader.path.parent}: entries were removed or replaced since this iteration began, and a fork, or a disk "
            "that cannot be written, has ended its state; begin it again"
        )
