"""Team: the threads that search an index together, or side by side."""

import collections
import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


class Team:
    """The threads of one index's searches.

    A search that is alone has all of them. Where several are under way, each goes on in its caller's own thread, since
    threads that divide a search wait for one another.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self.after_fork()

    def after_fork(self) -> None:
        """In a forked child, which has none of the threads."""
        self._lock = threading.Lock()
        self._searches = 0
        self._pool: ThreadPoolExecutor | None = None

    def close(self) -> None:
        """End the threads, once they are done; a later search is its caller's alone."""
        with self._lock:
            pool, self._pool, self._threads = self._pool, None, 1
        if pool is not None:
            pool.shutdown(wait=False)

    @contextlib.contextmanager
    def searching(self) -> Iterator[None]:
        """Count a search as under way."""
        with self._lock:
            self._searches += 1
        try:
            yield
        finally:
            with self._lock:
                self._searches -= 1

    @property
    def threads(self) -> int:
        """How many threads a search may have now."""
        return self._threads if self._searches <= 1 else 1

    def each(self, work: Callable[[Item], object], items: Iterable[Item]) -> None:
        """Do the work for every item, in any order; each thread takes the next one when it is free.

        After an error, or Ctrl-C, no thread takes another.
        """
        items = list(items)
        left = iter(items)

        def take() -> None:
            try:
                # `next` on a list's iterator is atomic.
                for item in left:
                    work(item)
            except BaseException:
                collections.deque(left, maxlen=0)
                raise

        helpers: list[Future[None]] = []
        try:
            for _ in range(min(self.threads, len(items)) - 1):
                helpers.append(self._started().submit(take))
        except RuntimeError:
            # No thread can be started, or the interpreter is ending: those that there are do it all. The pool has kept
            # what nobody may ever do.
            self._pool = None
        try:
            take()
        finally:
            # Those that have not begun find nothing left.
            begun = [helper for helper in helpers if not helper.cancel()]
            for helper in begun:
                helper.exception()
        for helper in begun:
            helper.result()

    def _started(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(max(1, self._threads - 1), thread_name_prefix="simcse-search")
            return self._pool
