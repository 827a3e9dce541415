"""AsyncEncoder: texts → vectors for asyncio; concurrent calls share the engine's runs."""

import asyncio
import warnings
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self, Unpack

from numpy.typing import NDArray

from ..encoder import Encoder
from ..errors import ClosedError, InputValueError, TruncationWarning
from ..forms import DType, VectorForm
from ..inputs import Truncate, checked_choice, checked_count, checked_sequence, checked_whole
from ..machine.forks import ForkAware, register
from ..machine.limits import naming_limits
from ..options import AsyncEncodeOptions
from ..pipeline import callers_level
from ..prompts import DOCUMENT, QUERY
from ..schedule import GPU_LIMITS
from ..wording import Wording, argument
from .backlog import Backlog
from .batcher import Batcher
from .cache import VectorCache
from .forming import in_form
from .intake import checked, fill
from .job import Encoded, Job
from .runs import Run

# About how many tokens are taken up together. On a CPU larger runs are hardly faster per text, and whoever comes
# meanwhile waits longer (docs/decisions/034-joining-callers.md). A GPU needs thousands of rows per product.
CPU_TOKENS, _GPU_TOKENS = 1024, GPU_LIMITS.batch_tokens


@dataclass(frozen=True, kw_only=True)
class BatchingOptions:
    """How callers share the engine.

    Attributes:
        batch_tokens: about how many tokens a thread takes up together. More is a little better for throughput, fewer
            for the latency of whoever comes meanwhile. None for what the device needs.
        max_queued_tokens: with so many tokens waiting or running, further calls raise `QueueFullError`; None for any
            number. Tokens are estimated from the texts' length. A call counts by at most half of the limit.
        cache_bytes: memory for a cache of vectors by text; 0 for none.
    """

    batch_tokens: int | None = None
    max_queued_tokens: int | None = None
    cache_bytes: int = 0

    def __post_init__(self) -> None:
        checked_count("batch_tokens", self.batch_tokens, 1)
        checked_count("max_queued_tokens", self.max_queued_tokens, 1)
        if checked_whole("cache_bytes", self.cache_bytes) < 0:
            raise InputValueError(argument("cache_bytes", self.cache_bytes), ": expected at least 0")


class AsyncEncoder(ForkAware):
    """Encodes for any number of tasks at once, and never blocks their event loop.

    >>> async with AsyncEncoder(Encoder(artifact)) as encoder:
    ...     (await encoder.encode(["A man plays a guitar."])).shape
    (1, 384)

    What gathers while a run is under way is the next run; nothing waits for company while the engine is idle. Small
    calls are not held up by huge ones. A vector is what `Encoder.encode` gives: in int8 to the bit
    (in the layout "padded" nearly), else to 1e-6.

    Attributes:
        batch_tokens: about how many tokens a thread takes up together.
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
            on_run: called after each run, on the thread that ran it: for measurements.
        """
        self.encoder = encoder
        self.options = options or BatchingOptions()
        self.batch_tokens = self.options.batch_tokens or (CPU_TOKENS if encoder.device == "cpu" else _GPU_TOKENS)
        self._on_run = on_run
        self._closed = False
        self._begin(self.options.max_queued_tokens)
        register("batcher", self)

    def _begin(self, max_queued_tokens: int | None) -> None:
        """Begin with nothing under way, and nothing remembered."""
        self.cache = VectorCache(self.options.cache_bytes) if self.options.cache_bytes else None
        self._backlog = Backlog(max_queued_tokens)
        self._batcher = Batcher(
            self.encoder,
            self.batch_tokens,
            on_vector=None if self.cache is None else self.cache.put,
            on_run=_noted(self._backlog, self._on_run, self.encoder.side_by_side),
        )
        # Where nobody closes it, its threads end with it. At the program's end, `batcher.py` sees to that.
        weakref.finalize(self, self._batcher.stop).atexit = False

    def _after_fork_in_child(self) -> None:
        """Begin anew: the threads, and whoever waits for them, are in the parent."""
        self._begin(self.max_queued_tokens)

    @property
    def max_queued_tokens(self) -> int | None:
        """With so many tokens waiting or running, further calls raise QueueFullError; it can be set."""
        return self._backlog.limit

    @max_queued_tokens.setter
    def max_queued_tokens(self, limit: int | None) -> None:
        self._backlog.limit = limit

    @property
    def queued_tokens(self) -> int:
        """Tokens that wait or run, as estimated from the texts' length."""
        return self._backlog.tokens

    async def encode(
        self,
        texts: Sequence[str],
        *,
        prompt_name: str | None = None,
        prompt: str | None = None,
        dimensions: int | None = None,
        dtype: DType = "float32",
        truncate: Truncate = "warn",
    ) -> NDArray[Any]:
        """Encode a list of texts.

        Args:
            texts: any ordered collection with a length.
            prompt_name: as for `Encoder.encode`.
            prompt: as for `Encoder.encode`.
            dimensions: as for `Encoder.encode`.
            dtype: as for `Encoder.encode`.
            truncate: what to do with texts longer than ``max_tokens``, as for `Encoder`.

        Returns:
            [len(texts), dimensions], as of `Encoder.encode`.

        Raises:
            InputTypeError, InputValueError, TruncationError, LimitError: as `Encoder.encode`.
            QueueFullError: too much is waiting already.
            ClosedError: after `close`.
        """
        form = VectorForm.of(self.encoder.manifest, dimensions, dtype)
        encoded = await self.encode_counted(texts, prompt_name=prompt_name, prompt=prompt, truncate=truncate)
        if encoded.cut and truncate == "warn":
            limit = Wording(f"max_tokens={self.encoder.max_tokens}", f"the limit of {self.encoder.max_tokens}")
            cut, total = len(encoded.cut), len(encoded.vectors)
            message = f"{cut} of {total} texts were longer than ", limit, " tokens and were cut"
            warnings.warn(TruncationWarning(*message, cut=cut, total=total), stacklevel=callers_level())
        return encoded.vectors if form.plain else await in_form(form.apply, encoded.vectors)

    async def encode_query(self, texts: Sequence[str], **options: Unpack[AsyncEncodeOptions]) -> NDArray[Any]:
        """As `encode`, behind the prompt of `Encoder.encode_query`."""
        return await self.encode(texts, **self.encoder.prompts.for_kind(QUERY, options))

    async def encode_document(self, texts: Sequence[str], **options: Unpack[AsyncEncodeOptions]) -> NDArray[Any]:
        """As `encode`, behind the prompt of `Encoder.encode_document`."""
        return await self.encode(texts, **self.encoder.prompts.for_kind(DOCUMENT, options))

    async def encode_counted(
        self,
        texts: Sequence[str],
        *,
        prompt_name: str | None = None,
        prompt: str | None = None,
        truncate: Truncate = "warn",
    ) -> Encoded:
        """As `encode`, with each text's tokens, what was cut, and where the time went; it does not warn."""
        if self._closed:
            raise ClosedError("this encoder is closed; open a new one")
        checked_choice("truncate", truncate, Truncate)
        chosen = self.encoder.prompts.choose(prompt_name, prompt)
        # A copy: while this waits, the caller may change the list.
        texts = list(checked_sequence(texts))
        left_out = "" if self.encoder.manifest.include_prompt else chosen
        # A text runs, and is remembered, as one with its prompt. If that is left out, it is not remembered: without
        # the prompt, the same text has another vector.
        texts = await checked(texts, chosen)
        with naming_limits:
            job = Job(texts, truncate, self.encoder.dimension, left_out)
            await fill(job, None if left_out else self.cache, self.encoder.max_tokens)
        if not job.missing:
            return job.encoded()
        # Those of now: in a forked child, they are others.
        backlog, batcher = self._backlog, self._batcher
        result = job.wait(asyncio.get_running_loop())
        counted = backlog.accept(job.weight)
        try:
            batcher.submit(job)
            return await result
        finally:
            # An error leads to this frame, which must not lead back to it.
            del result
            batcher.leave(job)
            backlog.leave(job.weight, counted)

    async def close(self) -> None:
        """Finish what was accepted; later calls raise ClosedError. Closing twice is fine."""
        self._closed = True
        await asyncio.get_running_loop().run_in_executor(None, self._batcher.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


def _noted(backlog: Backlog, on_run: Callable[[Run], None] | None, side_by_side: int) -> Callable[[Run], None]:
    """Note how fast each run was, and tell whoever measures."""

    def note(run: Run) -> None:
        # A run whose texts were all refused says nothing of it.
        if run.tokens:
            seconds = run.tokenization_s + run.inference_s
            backlog.note_speed(run.tokens / seconds * (1 if run.alone else side_by_side))
        if on_run is not None:
            on_run(run)

    return note
