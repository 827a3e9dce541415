"""Lent graphs: several over the content of one file, so that searches run side by side."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from .layout import Nodes
from .saved import SavedGraph
from .scheme import Scheme
from .usearch import LibraryGraph
from .walk import GraphWalk, walk_of


class LentGraphs:
    """Graphs over the content of one file, each lent to a search at a time; one to all where our kernels walk it.

    The content is there once. A further graph of USearch's is made when all others are lent, and takes 16 bytes a
    vector.

    Attributes:
        path: the file.
        content: its content.
        record: what the database records of it.
        covered: they cover the rows below this.
        walks: whether our kernels search them.
    """

    def __init__(
        self, path: Path, content: memoryview, record: SavedGraph, nodes: Nodes, scheme: Scheme, *, most: int
    ) -> None:
        """Prepare to lend up to ``most`` graphs over ``content``, which has these nodes and this scheme's layout."""
        self.path, self.content, self.record = path, content, record
        self.covered = record.covered
        self._walk = walk_of(content, nodes, scheme, record.covered)
        self.walks = self._walk is not None
        self._scheme = scheme
        self._most = most
        self._idle: list[LibraryGraph] = []
        # One for each that is lent, so that an interruption anywhere neither counts one twice nor loses it.
        self._lent: set[object] = set()
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def lent(self) -> Iterator[LibraryGraph | GraphWalk]:
        """Lend a graph for the time of the block, once one is free."""
        if self._walk is not None:
            yield self._walk
            return
        ticket, graph = object(), None
        try:
            with self._changed:
                while len(self._lent) >= self._most:
                    self._changed.wait()
                self._lent.add(ticket)
                if self._idle:
                    graph = self._idle.pop()
            if graph is None:
                new = LibraryGraph(self._scheme)
                new.view(self.content, str(self.path))
                graph = new
            yield graph
        finally:
            with self._changed:
                self._lent.discard(ticket)
                if graph is not None:
                    self._idle.append(graph)
                self._changed.notify()
