"""Service: what all routes share, and the one way in which they encode."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Literal, TypeVar

import numpy as np

from ..batching import AsyncEncoder, BatchingOptions, Encoded
from ..encoder import Encoder
from ..errors import InputValueError
from ..index import Index
from ..inputs import Truncate
from .http.messages import Request
from .http.problems import Problem
from .logs import failure, log
from .metrics import Metrics
from .options import ServeOptions
from .shared_index import SharedIndex
from .warm import warm

# So many seconds of work may wait, where no option says how much: a flood is over about so long after its end.
_QUEUED_S = 0.5
# But at least so many: what runs waits too, and a machine may have been busy with other things when it was measured.
_LEAST_QUEUED_TOKENS = 8192

# Threads for what is no encoding and yet no work for the event loop: searches, tokens for people.
_BACKGROUND_THREADS = 2

State = Literal["starting", "ready", "failed", "ending"]
_T = TypeVar("_T")


class Service:
    """An encoder, perhaps an index, and their limits.

    Attributes:
        state: requests are answered from "ready" on, and never after "failed". A server that starts and ends the
            application changes it; without one, as in another application, it is "ready" at once.
        metrics: what is counted and measured.
        batching: what encodes.
        shared_index: the index, for the routes; None without one.
        document: the OpenAPI document, which the application makes.
    """

    def __init__(self, encoder: Encoder, index: Index | None, options: ServeOptions) -> None:
        self.encoder = encoder
        self.index = index
        self.options = options
        self.state: State = "ready"
        self.metrics = Metrics()
        self.document = b""
        self._background = ThreadPoolExecutor(_BACKGROUND_THREADS, thread_name_prefix="simcse-engine-serve")
        self.shared_index = None if index is None else SharedIndex(index, encoder.manifest.identity, self._background)
        self.batching = AsyncEncoder(
            encoder,
            BatchingOptions(
                batch_tokens=options.max_batch_tokens,
                max_queued_tokens=options.max_queued_tokens,
                cache_bytes=options.cache_bytes,
            ),
            on_run=self.metrics.ran,
        )

    @property
    def ready(self) -> bool:
        """Whether it is warm, and takes requests."""
        return self.state == "ready"

    @property
    def model_name(self) -> str:
        """The name that answers bear."""
        return self.options.model_name or self.encoder.manifest.source.id

    async def warm_up(self) -> None:
        """Encode for a while, on another thread, and set the limit of what may wait; then it is ready, or failed."""
        try:
            await self._warm_up()
        except Exception as error:
            if self.state == "starting":
                self.state = "failed"
            log(logging.ERROR, "warm-up failed", **failure(error, with_message=True))

    def end(self) -> None:
        """Say that it is about to end, unless it never began."""
        if self.state != "failed":
            self.state = "ending"

    async def _warm_up(self) -> None:
        began = time.perf_counter()
        speed = await asyncio.get_running_loop().run_in_executor(None, warm, self.encoder)
        if self.shared_index is not None:
            # The first search counts the entries and reads the graph's file, which takes a second for a million.
            await self.shared_index.read(partial(_search_once, dimension=self.encoder.dimension))
        if self.options.max_queued_tokens is None:
            self.batching.max_queued_tokens = max(_LEAST_QUEUED_TOKENS, round(_QUEUED_S * speed))
        if self.state == "starting":
            self.state = "ready"
        log(
            logging.INFO,
            "ready",
            seconds=round(time.perf_counter() - began, 3),
            tokens_per_second=round(speed),
            max_queued_tokens=self.batching.max_queued_tokens,
        )

    async def encode(
        self,
        request: Request,
        texts: Sequence[str],
        truncate: bool | None,
        *,
        param: str,
        prompt_name: str | None = None,
        kind: Sequence[str] = (),
    ) -> Encoded:
        """Encode a request's texts within the limits.

        Args:
            request: what is noted of it.
            texts: as it has them.
            truncate: whether to cut longer texts; None for what the service does.
            param: the member that the texts are.
            prompt_name: the prompt to put before them.
            kind: of texts, as for `simcse_engine.prompts.Prompts.choose`.
        """
        prompt = self.prompt(prompt_name, kind)
        request.member = param
        self.check_count(texts, param=param)
        cuts = self.options.auto_truncate if truncate is None else truncate
        policy: Truncate = "silent" if cuts else "error"
        if self.options.log_texts:
            request.texts += texts
        encoded = await self.batching.encode_counted(texts, prompt=prompt, truncate=policy)
        request.encoded.append(encoded)
        request.characters += sum(map(len, texts))
        return encoded

    def prompt(self, name: str | None, kind: Sequence[str] = ()) -> str:
        """The prompt to put before texts; Problem for a name that the artifact's prompts do not have."""
        try:
            return self.encoder.prompts.choose(name, None, kind)
        except InputValueError as error:
            raise Problem(422, str(error), param="prompt_name") from error

    def check_count(self, texts: Sequence[str], *, param: str) -> None:
        """Raise Problem for more texts than a request may have."""
        limit = self.options.max_client_batch_size
        if len(texts) > limit:
            raise Problem(
                422,
                f"{param} has {len(texts):,} texts, the limit of this service is {limit:,} (--max-client-batch-size)",
                param=param,
            )

    async def in_background(self, call: Callable[[], _T]) -> _T:
        """Call it on a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._background, call)

    async def close(self) -> None:
        """Finish what was accepted."""
        await self.batching.close()
        if self.shared_index is not None:
            await asyncio.to_thread(self.shared_index.close)
        self._background.shutdown(wait=False)


def _search_once(index: Index, *, dimension: int) -> None:
    index.search(np.eye(1, dimension, dtype=np.float32), 1)
