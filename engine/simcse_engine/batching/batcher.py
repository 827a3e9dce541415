"""Batcher: the thread that runs what waits, whoever it is from. What gathers while a run is under way is the next."""

import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..encoder import Encoder
from ..runner import Pending
from .job import Job, too_long
from .queue import FairQueue, Part


@dataclass(frozen=True)
class Run:
    """What is known of a run, for whoever measures."""

    texts: int
    tokens: int
    tokenization_s: float
    inference_s: float


@dataclass(frozen=True)
class _UnderWay:
    """Texts of several jobs that run together."""

    parts: list[Part]
    rows: dict[str, int]  # of each text, in the run's vectors
    cut: set[str]
    lengths: list[int]  # in tokens, of each row
    pending: Pending
    began: float
    tokenization_s: float


class Batcher:
    """Runs jobs on one thread, which starts with the first; `submit` may be called from any thread.

    Args:
        encoder: whose vectors they are.
        run_tokens: about as many tokens are taken up together.
        on_vector: called on the batcher's thread with a text, its vector, its tokens and whether it was cut.
        on_run: called on the batcher's thread after each run.
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
        self._inbox: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._waiting = FairQueue(encoder.max_tokens)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def submit(self, job: Job) -> None:
        """Let a job run; its future gets its result in its own event loop."""
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    # Ends with the program where nobody closed it: nobody can wait for its results by then.
                    thread = threading.Thread(target=self._work, name="simcse-engine-batcher", daemon=True)
                    thread.start()
                    self._thread = thread
        self._inbox.put(job)

    def close(self) -> None:
        """Finish the jobs that were submitted, and end the thread."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._inbox.put(None)
            thread.join()

    def _work(self) -> None:
        under_way: _UnderWay | None = None
        open_ = True
        while open_ or self._waiting or under_way is not None:
            open_ = self._gather(block=open_ and under_way is None and not self._waiting) and open_
            parts = self._waiting.take(self._run_tokens)
            following = self._start(parts) if parts else None
            if under_way is not None:
                self._finish(under_way)
            under_way = following

    def _gather(self, *, block: bool) -> bool:
        """Take what was submitted meanwhile, or wait for it; False at the end."""
        try:
            job = self._inbox.get(block)
            while job is not None:
                self._waiting.put(job)
                job = self._inbox.get_nowait()
        except queue.Empty:
            return True
        return False

    def _start(self, parts: list[Part]) -> _UnderWay | None:
        """Tokenize and submit; None where nothing is left to run."""
        began = time.perf_counter()
        for part in parts:
            if part.start == 0:
                part.job.queue_s = began - part.job.submitted
        try:
            texts = list(dict.fromkeys(text for part in parts for text in _texts(part)))
            tokens = self._encoder.tokenize(texts)
            cut = {texts[i] for i in tokens.cut}
            lengths_of = dict(zip(texts, map(len, tokens.ids), strict=True))
            parts = [part for part in parts if self._note(part, lengths_of, cut)]
            wanted = {text for part in parts for text in _texts(part)}
            kept = [i for i, text in enumerate(texts) if text in wanted]
            if not kept:
                return None
            tokenized = time.perf_counter()
            rows = {texts[i]: row for row, i in enumerate(kept)}
            ids = [tokens.ids[i] for i in kept]
            lengths = [len(sentence) for sentence in ids]
            return _UnderWay(parts, rows, cut, lengths, self._encoder.submit(ids), tokenized, tokenized - began)
        except Exception as error:
            self._fail(parts, error)
            return None

    def _note(self, part: Part, lengths: dict[str, int], cut: set[str]) -> bool:
        """Note a part's tokens and cuts in its job; whether it may run."""
        job = part.job
        for position in range(part.start, part.stop):
            text = job.texts[position]
            job.tokens[position] = lengths[text]
            if text in cut:
                job.cut.append(position)
        if job.cut and job.truncate == "error":
            self._end(job, too_long(job.positions[job.cut[0]], self._encoder.max_tokens))
            return False
        return not job.over

    def _finish(self, run: _UnderWay) -> None:
        try:
            vectors = np.empty((len(run.lengths), self._encoder.dimension), np.float32)
            run.pending.write(vectors)
        except Exception as error:
            self._fail(run.parts, error)
            return
        inference_s = time.perf_counter() - run.began
        done = []
        for part in run.parts:
            job = part.job
            job.tokenization_s += run.tokenization_s
            job.inference_s += inference_s
            if job.write(part.start, vectors[[run.rows[text] for text in _texts(part)]]):
                done.append(job)
        _deliver(done)
        if self._on_vector is not None:
            for text, row in run.rows.items():
                self._on_vector(text, vectors[row], run.lengths[row], text in run.cut)
        if self._on_run is not None:
            self._on_run(Run(len(run.lengths), sum(run.lengths), run.tokenization_s, inference_s))

    def _fail(self, parts: Iterable[Part], error: Exception) -> None:
        """Try each job's texts alone, so that one that fails fails its own job only."""
        parts = [part for part in parts if not part.job.over]
        if len(parts) == 1:
            self._end(parts[0].job, error)
            return
        for part in parts:
            run = self._start([part])
            if run is not None:
                self._finish(run)

    def _end(self, job: Job, error: BaseException) -> None:
        job.error = error
        _deliver([job])


def _texts(part: Part) -> Iterable[str]:
    return part.job.texts[part.start : part.stop]


def _deliver(jobs: list[Job]) -> None:
    """Hand results to their event loops, all of a loop in one call."""
    by_loop = defaultdict(list)
    for job in jobs:
        by_loop[job.loop].append(job)
    for loop, theirs in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle, theirs)
        except RuntimeError:  # the loop was closed, and nobody waits
            continue


def _settle(jobs: list[Job]) -> None:
    for job in jobs:
        if job.future.done():  # its caller has left
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.encoded())
