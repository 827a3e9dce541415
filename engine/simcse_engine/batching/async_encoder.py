"""AsyncEncoder: texts → vectors for asyncio; concurrent calls share the engine's runs."""

import asyncio
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..encoder import Encoder
from ..errors import ClosedError, QueueFullError, TruncationWarning
from ..inputs import Truncate, check_texts, checked_sequence
from ..wording import Wording
from .batcher import Batcher, Run
from .cache import Known, VectorCache
from .job import Encoded, Job, estimated_tokens, too_long


@dataclass(frozen=True, kw_only=True)
class BatchingOptions:
    """How callers share the engine.

    Attributes:
        batch_tokens: about how many tokens are taken up together. More is better for throughput, fewer for the latency
            of whoever comes meanwhile.
        max_queued_tokens: with so many tokens waiting or running, further calls raise `QueueFullError`; None for any
            number. Tokens are estimated from the texts' length.
        cache_bytes: memory for a cache of vectors by text; 0 for none.
    """

    batch_tokens: int = 4096
    max_queued_tokens: int | None = None
    cache_bytes: int = 0


class AsyncEncoder:
    """Encodes for any number of tasks at once, and never blocks their event loop.

    >>> async with AsyncEncoder(Encoder(artifact)) as encoder:
    ...     (await encoder.encode(["A man plays a guitar."])).shape
    (1, 384)

    What gathers while a run is under way is the next run; nothing waits for company while the engine is idle. Small
    calls are not held up by huge ones. A vector is what `Encoder.encode` gives: in int8 to the bit, else to 1e-6.
    """

    def __init__(
        self,
        encoder: Encoder,
        options: BatchingOptions | None = None,
        *,
        on_run: Callable[[Run], None] | None = None,
    ) -> None:
        """Share an open encoder, which the caller closes, after this.

        Args:
            encoder: whose vectors they are.
            options: see `BatchingOptions`.
            on_run: called after each run, on a thread of its own: for measurements.
        """
        self.encoder = encoder
        self.options = options or BatchingOptions()
        self.cache = VectorCache(self.options.cache_bytes) if self.options.cache_bytes else None
        self.queued_tokens = 0
        self.max_queued_tokens = self.options.max_queued_tokens
        self._rate = 0.0  # tokens per second, of late
        self._lock = threading.Lock()
        self._closed = False
        self._on_run = on_run
        self._batcher = Batcher(
            encoder,
            self.options.batch_tokens,
            on_vector=None if self.cache is None else self.cache.put,
            on_run=self._ran,
        )

    async def encode(self, texts: Sequence[str], *, truncate: Truncate = "warn") -> NDArray[np.float32]:
        """Encode a list of texts.

        Args:
            texts: any ordered collection with a length.
            truncate: what to do with texts longer than ``max_tokens``, as for `Encoder`.

        Returns:
            float32 [len(texts), dimension].

        Raises:
            InputTypeError, InputValueError, TruncationError, LimitError: as `Encoder.encode`.
            QueueFullError: too much is waiting already.
            ClosedError: after `close`.
        """
        encoded = await self.encode_counted(texts, truncate=truncate)
        if encoded.cut and truncate == "warn":
            limit = Wording(f"max_tokens={self.encoder.max_tokens}", f"the limit of {self.encoder.max_tokens}")
            cut, total = len(encoded.cut), len(texts)
            message = f"{cut} of {total} texts were longer than ", limit, " tokens and were cut"
            warnings.warn(TruncationWarning(*message, cut=cut, total=total), stacklevel=2)
        return encoded.vectors

    async def encode_counted(self, texts: Sequence[str], *, truncate: Truncate = "warn") -> Encoded:
        """As `encode`, with each text's tokens, what was cut, and where the time went; it does not warn."""
        if self._closed:
            raise ClosedError("this encoder is closed; open a new one")
        texts = checked_sequence(texts)
        check_texts(texts)
        if not len(texts):
            return Encoded(vectors=np.empty((0, self.encoder.dimension), np.float32), tokens=[], cut=[])
        known = [None if self.cache is None else self.cache.get(text) for text in texts]
        missing = [position for position, each in enumerate(known) if each is None]
        if not missing:
            return _joined(known, None, truncate, self.encoder)
        encoded = await self._run(
            texts if len(missing) == len(texts) else [texts[i] for i in missing], missing, truncate
        )
        return encoded if len(missing) == len(texts) else _joined(known, encoded, truncate, self.encoder)

    async def _run(self, texts: Sequence[str], positions: Sequence[int], truncate: Truncate) -> Encoded:
        weight = sum(estimated_tokens(text, self.encoder.max_tokens) for text in texts)
        self._admit(weight)
        loop = asyncio.get_running_loop()
        job = Job(texts, positions, truncate, self.encoder.dimension, loop, loop.create_future())
        try:
            self._batcher.submit(job)
            return await job.future
        finally:
            job.abandoned = True
            with self._lock:
                self.queued_tokens -= weight

    def _admit(self, weight: int) -> None:
        with self._lock:
            limit = self.max_queued_tokens
            if limit is not None and self.queued_tokens >= limit:
                raise QueueFullError(
                    f"{self.queued_tokens:,} tokens are waiting, and the limit is {limit:,}; try again later",
                    retry_after_s=self.queued_tokens / self._rate if self._rate else 1.0,
                )
            self.queued_tokens += weight

    def _ran(self, run: Run) -> None:
        seconds = run.tokenization_s + run.inference_s
        self._rate = 0.9 * self._rate + 0.1 * run.tokens / seconds if self._rate else run.tokens / seconds
        if self._on_run is not None:
            self._on_run(run)

    async def close(self) -> None:
        """Finish what was accepted; later calls raise ClosedError. Closing twice is fine."""
        self._closed = True
        await asyncio.get_running_loop().run_in_executor(None, self._batcher.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


def _joined(known: list[Known | None], missing: Encoded | None, truncate: Truncate, encoder: Encoder) -> Encoded:
    """The vectors that the cache knew, and those that were missing."""
    vectors = np.empty((len(known), encoder.dimension), np.float32)
    tokens, cut, ran = [], [], 0
    for position, each in enumerate(known):
        if each is None:
            assert missing is not None
            vectors[position] = missing.vectors[ran]
            tokens.append(missing.tokens[ran])
            ran += 1
        else:
            if each.cut and truncate == "error":
                raise too_long(position, encoder.max_tokens)
            vectors[position] = each.vector
            tokens.append(each.tokens)
            if each.cut:
                cut.append(position)
    if missing is None:
        return Encoded(vectors=vectors, tokens=tokens, cut=cut, cached=len(known))
    return replace(missing, vectors=vectors, tokens=tokens, cut=sorted(cut + missing.cut), cached=len(known) - ran)
