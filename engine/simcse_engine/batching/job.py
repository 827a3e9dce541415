"""Job: one caller's texts on their way to vectors."""

import time
from asyncio import AbstractEventLoop, Future
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import TruncationError
from ..inputs import Truncate, text_item
from ..wording import Wording

# UTF-8 bytes of a token, in English a little more: what a text weighs before it is tokenized.
_TOKEN_BYTES = 4
_SPECIAL_TOKENS = 2


def estimated_tokens(text: str, max_tokens: int) -> int:
    """About how many tokens a text has, at most ``max_tokens``: a quarter of its UTF-8 bytes, and special tokens."""
    # A quarter of the characters are no more tokens than a quarter of the bytes: most long texts need no encoding.
    bytes_are_many = text.isascii() or len(text) >= _TOKEN_BYTES * max_tokens
    size = len(text) if bytes_are_many else len(text.encode())
    return min(max_tokens, size // _TOKEN_BYTES + 1 + _SPECIAL_TOKENS)


def too_long(position: int, max_tokens: int) -> TruncationError:
    """The error of a text, by its position among the caller's, that is longer than ``max_tokens``."""
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
    """One caller's texts: which have been taken up, and the vectors that are there.

    Attributes:
        texts: checked texts.
        positions: of the texts among the caller's.
        abandoned: whether nobody waits for them any more.
    """

    def __init__(
        self,
        texts: Sequence[str],
        positions: Sequence[int],
        truncate: Truncate,
        dimension: int,
        loop: AbstractEventLoop,
        future: "Future[Encoded]",
    ) -> None:
        self.texts = texts
        self.positions = positions
        self.truncate = truncate
        self.loop = loop
        self.future = future
        self.abandoned = False
        self.submitted = time.perf_counter()
        self.taken = 0  # texts that were taken up
        self.queue_s = 0.0
        self.tokenization_s = 0.0
        self.inference_s = 0.0
        self.tokens = [0] * len(texts)
        self.cut: list[int] = []
        self.error: BaseException | None = None
        self._written = 0
        self._vectors: NDArray[np.float32] | None = None
        self._dimension = dimension

    @property
    def over(self) -> bool:
        """Whether nothing of it need run any more."""
        return self.abandoned or self.error is not None

    def write(self, start: int, vectors: NDArray[np.float32]) -> bool:
        """Keep the vectors of the texts from ``start`` on; whether all are there now."""
        if len(vectors) == len(self.texts):
            self._vectors = vectors
        else:
            if self._vectors is None:
                self._vectors = np.empty((len(self.texts), self._dimension), np.float32)
            self._vectors[start : start + len(vectors)] = vectors
        self._written += len(vectors)
        return self._written == len(self.texts)

    def encoded(self) -> Encoded:
        """The result, once all vectors are there."""
        assert self._vectors is not None
        return Encoded(
            vectors=self._vectors,
            tokens=self.tokens,
            cut=[self.positions[i] for i in self.cut],
            queue_s=self.queue_s,
            tokenization_s=self.tokenization_s,
            inference_s=self.inference_s,
        )
