"""Team: the threads that search an index together, or side by side."""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
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
        """Do the work for every item, in any order; each thread takes the next one when it is free."""
        items = list(items)
        left = iter(items)
        others = min(self.threads, len(items)) - 1
        if others < 1:
            for item in items:
                work(item)
            return

        def take() -> None:
            # `next` on a list's iterator is atomic.
            for item in left:
                work(item)

        if self._pool is None:
            with self._lock:
                self._pool = self._pool or ThreadPoolExecutor(self._threads - 1, thread_name_prefix="simcse-search")
        futures = [self._pool.submit(take) for _ in range(others)]
        try:
            take()
        finally:
            for future in futures:
                # Those that have not begun find nothing left.
                if not future.cancel():
                    future.exception()
        for future in futures:
            if not future.cancelled():
                future.result()
