"""Job: one caller's texts on their way to vectors."""

import contextlib
import time
from asyncio import AbstractEventLoop, Future
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import TruncationError
from ..inputs import Truncate, text_item
from ..wording import Wording

# UTF-8 bytes of a token, in English a little more: what a text weighs before it is tokenized.
_TOKEN_BYTES = 4
_SPECIAL_TOKENS = 2
# Rows that move at once where repeated texts get their vectors, which bounds the memory for it.
_SPREAD_ROWS = 1024


def estimated_tokens(text: str, max_tokens: int) -> int:
    """About how many tokens a text has, at most ``max_tokens``: a quarter of its UTF-8 bytes, and special tokens."""
    # A quarter of the characters are no more tokens than a quarter of the bytes: most long texts need no encoding.
    bytes_are_many = text.isascii() or len(text) >= _TOKEN_BYTES * max_tokens
    size = len(text) if bytes_are_many else len(text.encode())
    return min(max_tokens, size // _TOKEN_BYTES + 1 + _SPECIAL_TOKENS)


def too_long(position: int, max_tokens: int) -> TruncationError:
    """The error of a text that is longer than ``max_tokens``, by its position among the caller's."""
    limit = Wording(f"max_tokens={max_tokens}", f"the limit of {max_tokens}")
    return TruncationError(text_item(position), " has more than ", limit, " tokens; shorten it")


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """Vectors, and what is known of the texts.

    Attributes:
        vectors: float32 [texts, dimension].
        tokens: how many tokens each text has, special tokens included, once it is cut.
        cut: positions of the texts that were longer than ``max_tokens``.
        queue_s: seconds until the first of the texts was taken up.
        tokenization_s: seconds of tokenization, of the whole runs that the texts were in.
        inference_s: seconds of the graph, of the whole runs that the texts were in.
        cached: how many of the texts were found in the cache.
    """

    vectors: NDArray[np.float32]
    tokens: list[int]
    cut: list[int]
    queue_s: float = 0.0
    tokenization_s: float = 0.0
    inference_s: float = 0.0
    cached: int = 0


class Job:
    """One caller's texts: which must run, which have been taken up, and the vectors that are there.

    The event loop's thread fills it; once it is submitted, the batcher's threads use it.

    Attributes:
        texts: checked texts, which nobody changes any more.
        truncate: what becomes of texts that are too long; "error" fails the job.
        left_out: the prompt that the texts begin with, where pooling leaves its tokens out; else "".
        missing: positions of the texts that must run, each text once.
        weights: about how many tokens each of those has.
        weight: about how many tokens all of those have.
        taken: how many of those have been taken up.
        waiting: the event loop and the future in which its caller waits; None before and after.
        abandoned: whether its caller has left.
        failed: whether its caller gets an error.
    """

    def __init__(self, texts: Sequence[str], truncate: Truncate, dimension: int, left_out: str = "") -> None:
        self.texts = texts
        self.truncate = truncate
        self.left_out = left_out
        self.missing: list[int] = []
        self.weights: list[int] = []
        self.weight = 0
        self.taken = 0
        self.waiting: tuple[AbstractEventLoop, Future[Encoded]] | None = None
        self.abandoned = self.failed = False
        self._vectors = np.empty((len(texts), dimension), np.float32)
        self._tokens = [0] * len(texts)
        self._cut: list[int] = []
        self._repeats: list[tuple[int, int]] = []
        self._written = self._cached = 0
        self._began = time.perf_counter()
        self._queue_s = self._tokenization_s = self._inference_s = 0.0

    @property
    def over(self) -> bool:
        """Whether nothing of it need run any more."""
        return self.abandoned or self.failed

    def need(self, position: int, weight: int) -> None:
        """Note a text that must run."""
        self.missing.append(position)
        self.weights.append(weight)
        self.weight += weight

    def repeat(self, position: int, original: int) -> None:
        """Note a text that is the same as an earlier one."""
        self._repeats.append((position, original))

    def know(self, position: int, vector: NDArray[np.float32], tokens: int, cut: bool) -> None:
        """Note a text whose vector was remembered."""
        self._cached += 1
        self._vectors[position] = vector
        self._tokens[position] = tokens
        if cut:
            self._cut.append(position)

    def wait(self, loop: AbstractEventLoop) -> "Future[Encoded]":
        """Begin to wait for the result."""
        self._began = time.perf_counter()
        future: Future[Encoded] = loop.create_future()
        self.waiting = loop, future
        return future

    def take_up(self, start: int) -> None:
        """Note that the missing texts from ``start`` on run now."""
        if start == 0:
            self._queue_s = time.perf_counter() - self._began

    def write(self, positions: list[int], vectors: NDArray[np.float32], tokens: list[int], cut: list[int]) -> None:
        """Keep the vectors [positions, dimension] of texts, their tokens, and which of them were cut."""
        self._vectors[positions] = vectors
        for position, count in zip(positions, tokens, strict=True):
            self._tokens[position] = count
        self._cut += cut

    def count(self, texts: int, tokenization_s: float, inference_s: float) -> bool:
        """Count texts that were written, and the time it took; whether all are there now. By one thread at a time."""
        self._written += texts
        self._tokenization_s += tokenization_s
        self._inference_s += inference_s
        return self._written == len(self.missing)

    def encoded(self) -> Encoded:
        """The result, once all vectors are there."""
        for start in range(0, len(self._repeats), _SPREAD_ROWS):
            positions, originals = map(list, zip(*self._repeats[start : start + _SPREAD_ROWS], strict=True))
            self._vectors[positions] = self._vectors[originals]
        if self._repeats:
            were_cut = set(self._cut)
            for position, original in self._repeats:
                self._tokens[position] = self._tokens[original]
                if original in were_cut:
                    self._cut.append(position)
        return Encoded(
            vectors=self._vectors,
            tokens=self._tokens,
            cut=sorted(self._cut),
            queue_s=self._queue_s,
            tokenization_s=self._tokenization_s,
            inference_s=self._inference_s,
            cached=self._cached,
        )


def deliver(results: Iterable[tuple[Job, Encoded | BaseException]]) -> None:
    """Hand results to those who wait, all of an event loop in one call; from any thread."""
    by_loop: defaultdict[AbstractEventLoop, list[tuple[Future[Encoded], Encoded | BaseException]]] = defaultdict(list)
    for job, result in results:
        # An error's frames lead to the job: it must not lead back to the error.
        waiting, job.waiting = job.waiting, None
        if waiting is not None:
            loop, future = waiting
            by_loop[loop].append((future, result))
    for loop, theirs in by_loop.items():
        # Of a loop that was closed, nobody waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle, theirs)


def _settle(results: list[tuple["Future[Encoded]", Encoded | BaseException]]) -> None:
    for future, result in results:
        if future.done():  # its caller has left
            continue
        if isinstance(result, Encoded):
            future.set_result(result)
        else:
            future.set_exception(result)
