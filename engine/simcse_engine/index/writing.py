"""Writing: an index's writer, which takes the lock no sooner than it is needed."""

import threading

from ..errors import ClosedError, SearchIndexError
from .limits import SearchLimits
from .search.views import Views
from .writer import IndexWriter


class Writing:
    """Whether and since when an open index is written; may be used from many threads at once."""

    def __init__(self, views: Views, limits: SearchLimits, *, read_only: bool | None) -> None:
        """Take the lock now if ``read_only`` is False, with the first `writer` if it is None, and never if True."""
        self._views = views
        self._limits = limits
        self._read_only = read_only
        self._starting = threading.Lock()
        self._writer: IndexWriter | None = None
        self._closed = False
        if read_only is False:
            self.writer()

    def writer(self) -> IndexWriter:
        """The writer; IndexLockedError if another has the lock, SearchIndexError if the index is only read."""
        with self._starting:
            if self._closed:
                raise ClosedError("this index is closed; open it again")
            if self._read_only:
                raise SearchIndexError(
                    f"{self._views.store.folder}: opened with read_only=True; open it without to write"
                )
            if self._writer is None:
                self._writer = IndexWriter(self._views, self._limits)
            return self._writer

    def close(self) -> None:
        """Save the ANN graph if it lacks many entries, and let others write. Closing twice is fine."""
        writer = self._end()
        if writer is not None:
            writer.close()

    def release(self) -> None:
        """Let others write, and leave the ANN graph as it is."""
        writer = self._end()
        if writer is not None:
            writer.release()

    def _end(self) -> IndexWriter | None:
        with self._starting:
            self._closed = True
            writer, self._writer = self._writer, None
        return writer

    def after_fork(self) -> None:
        """In a forked child: another thread may have held the lock."""
        self._starting = threading.Lock()
        if self._writer is not None:
            self._writer.after_fork()
