"""Batcher: threads that run what waits, whoever it is from. What gathers while they are busy runs together next."""

import atexit
import os
import queue
import threading
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..encoder import Encoder
from ..errors import ClosedError
from ..machine.limits import naming_limits
from .job import Job, deliver
from .queue import FairQueue, Part
from .runs import Result, Run, fail, run_together

# What waits is shared among the threads that are free, if each gets so many tokens or more. Below, a run reads all
# weights for too few of them; one run that all threads share is better then (docs/decisions/034-joining-callers.md).
LEAST_SHARE = 128


class Batcher:
    """Runs jobs on threads of its own, which start as they are needed; `submit` may be called from any thread.

    A few texts, while nothing else runs or waits, take all threads of the encoder jointly. When there is more, each
    thread of the batcher tokenizes and runs by itself what it takes up, and none waits for another.

    Args:
        encoder: whose vectors they are.
        run_tokens: about as many tokens are taken up together.
        on_vector: called on the batcher's threads with a text, its vector, its tokens and whether it was cut; not for
            texts whose prompt is left out.
        on_run: called on the batcher's threads after each run.
    """

    def __init__(
        self,
        encoder: Encoder,
        run_tokens: int,
        *,
        on_vector: Callable[[str, NDArray[np.float32], int, bool], None] | None = None,
        on_run: Callable[[Run], None] | None = None,
    ) -> None:
        self._encoder = encoder
        self._run_tokens = run_tokens
        self._on_vector = on_vector
        self._on_run = on_run
        self._lock = threading.Lock()
        self._waiting = FairQueue()
        self._submitted: set[Job] = set()  # and not left
        self._threads: set[threading.Thread] = set()
        self._running: set[int] = set()  # threads that run something
        self._idle = 0  # threads that nobody has called yet
        self._calls: queue.SimpleQueue[None] = queue.SimpleQueue()  # one for each thread that is to wake
        self._closed = self._stopped = False
        self._process = os.getpid()
        _living.add(self)

    def submit(self, job: Job) -> None:
        """Let a job run; whoever waits for it calls `leave` in the end."""
        with self._lock:
            if self._closed:
                raise ClosedError("this encoder is closed; open a new one")
            with naming_limits:
                self._call_one()
            self._submitted.add(job)
            self._waiting.put(job)

    def leave(self, job: Job) -> None:
        """Let go of a job: what of it does not run yet never will."""
        # A coroutine that is destroyed comes here, perhaps amid a block under the lock on the same thread.
        job.abandoned = True
        self._submitted.discard(job)

    def close(self) -> None:
        """Finish what was submitted, and end the threads. `submit` raises ClosedError from now on."""
        with self._lock:
            self._closed = True
            self._call_all()
            threads = list(self._threads)
        for thread in threads:
            thread.join()

    def stop(self) -> None:
        """As `close`, but drop what waits, and do not wait for what runs."""
        # By a destructor, too: see `leave`.
        self._stopped = self._closed = True
        for _ in range(self._encoder.side_by_side):
            self._calls.put(None)

    def _call_one(self) -> None:
        """Call an idle thread, or start one if there may be more."""
        if self._idle:
            self._idle -= 1
            self._calls.put(None)
        elif len(self._threads) < self._encoder.side_by_side:
            # A daemon, which a program that ends without `close` does not wait for before `_end` stops it.
            thread = threading.Thread(target=self._work, name="simcse-engine-batcher", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # there may be no more threads
                if not self._threads:
                    raise
            else:
                self._threads.add(thread)

    def _call_all(self) -> None:
        for _ in range(self._idle):
            self._calls.put(None)
        self._idle = 0

    def _work(self) -> None:
        try:
            while (taken := self._next()) is not None:
                parts, alone = taken
                try:
                    self._run(parts, alone=alone)
                finally:
                    # Nothing of them is kept while this thread waits.
                    del taken, parts
                    with self._lock:
                        self._running.discard(threading.get_ident())
        except BaseException as error:
            # A defect, or no memory for the least thing. Whoever waits must know; another job starts another thread.
            with self._lock:
                self._waiting.clear()
            for job in list(self._submitted):
                fail(job, error)
            _report(error)
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())
                self._call_all()

    def _next(self) -> tuple[list[Part], bool] | None:
        """Wait for texts to run, and whether they are to have all threads; None at the end."""
        while True:
            with self._lock:
                if self._stopped:
                    return None
                parts = self._waiting.take(self._share())
                if parts:
                    alone = not self._running and not self._waiting
                    self._running.add(threading.get_ident())
                    if self._waiting:
                        self._call_one()
                    return parts, alone
                if self._closed:
                    return None
                self._idle += 1
            self._calls.get()

    def _share(self) -> int:
        """How many tokens a thread takes up."""
        free = self._encoder.side_by_side - len(self._running)
        waiting = self._waiting.tokens
        shares = max(1, min(free, waiting // LEAST_SHARE))
        return min(self._run_tokens, max(1, -(-waiting // shares)))

    def _run(self, parts: list[Part], *, alone: bool) -> None:
        by_prompt: defaultdict[str, list[Part]] = defaultdict(list)
        for part in parts:
            by_prompt[part.job.left_out].append(part)
        if len(by_prompt) > 1:
            self._run_in_turn(by_prompt.values())
            return
        try:
            result = run_together(self._encoder, parts, alone=alone)
            result.write()
        except Exception as error:
            if len(parts) == 1:
                fail(parts[0].job, error)
                return
        else:
            self._deliver(result)
            return
        # Each by itself, so that what cannot run fails its own caller alone.
        self._run_in_turn([part] for part in parts)

    def _run_in_turn(self, groups: Iterable[list[Part]]) -> None:
        for group in groups:
            if parts := [part for part in group if not part.job.over]:
                with self._lock:  # the one before has let go of this thread
                    self._running.add(threading.get_ident())
                self._run(parts, alone=False)

    def _deliver(self, result: Result) -> None:
        """Give their results to the callers whose texts are all done, and to whoever else listens."""
        # First, so that whoever has an answer finds it remembered.
        if not result.parts or not result.parts[0].job.left_out:
            _tell(self._on_vector, result)
        times = result.run.tokenization_s, result.run.inference_s
        with self._lock:
            done = [part.job for part in result.parts if part.job.count(part.stop - part.start, *times)]
            # Before they know: whoever calls again at once is to find all threads free.
            self._running.discard(threading.get_ident())
        deliver((job, job.encoded()) for job in done)
        _tell(self._on_run, [(result.run,)])


def _tell(listener: Callable[..., None] | None, news: Iterable[tuple[Any, ...]]) -> None:
    if listener is None:
        return
    try:
        for each in news:
            listener(*each)
    except BaseException as error:  # the listener's, and no caller's concern
        _report(error)


def _report(error: BaseException) -> None:
    """Say what went wrong, as of any thread that ends with an error."""
    arguments = (type(error), error, error.__traceback__, threading.current_thread())
    threading.excepthook(threading.ExceptHookArgs(arguments))


_living: weakref.WeakSet[Batcher] = weakref.WeakSet()


@atexit.register
def _end() -> None:
    """Let no thread be in the runtime while the interpreter takes itself apart."""
    # A child that was forked has none of its parent's threads, and may have their locks, held for ever.
    batchers = [batcher for batcher in _living if batcher._process == os.getpid()]
    for batcher in batchers:
        batcher.stop()
    for batcher in batchers:
        batcher.close()
