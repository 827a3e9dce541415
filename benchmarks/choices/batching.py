"""Why concurrent calls are joined as they are: runs of more or fewer tokens, small calls beside a huge one, and a pool.

INT8 MiniLM. "cpu_us_per_text" is CPU time of one thread, whatever else the machine does. "beside" is one text after
another while a call of many texts is under way. "pool" gives each call a thread and an `Encoder.encode` of its own.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from simcse_engine import AsyncEncoder, Encoder
from simcse_engine.batching import BatchingOptions

from ..inputs import MINILM, sentences
from ..record import write_result
from ..statistics import spreads
from ..turns import alternate, no_options

RUN_TEXTS = (1, 4, 16, 32, 64, 128, 256)
BATCH_TOKENS = (512, 1024, 2048, 4096)
HUGE, BESIDE, CALLERS, CALLS, ROUNDS = 2_000, 10, 64, 1_000, 5


def main() -> None:
    no_options(__doc__)
    texts = sentences()
    with Encoder(MINILM.artifact("int8")) as encoder:
        ids = encoder.tokenize(texts.texts[:HUGE]).ids
        figures = {
            "cpu_us_per_text_by_texts_per_run": spreads(
                alternate({count: partial(cpu_us, encoder, ids, count) for count in RUN_TEXTS}, range(ROUNDS))
            ),
            "by_batch_tokens": {
                figure: spreads({tokens: [each[figure] for each in rounds] for tokens, rounds in measured.items()})
                for measured in [
                    alternate(
                        {tokens: partial(beside, encoder, texts.texts, tokens) for tokens in BATCH_TOKENS},
                        range(ROUNDS),
                    )
                ]
                for figure in ("beside_ms", "bulk_texts_per_s")
            },
            "texts_per_s_of_64_callers": spreads(
                alternate({way.__name__: partial(way, encoder, texts.texts) for way in (joined, pool)}, range(ROUNDS))
            ),
        }
    write_result("batching", {"question": "how concurrent calls run best", "sentences": texts.source}, figures)


def cpu_us(encoder: Encoder, ids: list[list[int]], count: int, _: int) -> float:
    """CPU time for a text, in runs of so many."""
    used = ids[: 4 * max(RUN_TEXTS)]
    start = time.thread_time()
    for first in range(0, len(used), count):
        encoder.run(used[first : first + count], alone=False)
    return (time.thread_time() - start) / len(used) * 1e6


def beside(encoder: Encoder, texts: list[str], tokens: int, _: int) -> dict[str, float]:
    """The median latency of single texts beside a huge call, and the texts per second of another one alone."""

    async def measure() -> dict[str, float]:
        async with AsyncEncoder(encoder, BatchingOptions(batch_tokens=tokens)) as shared:
            start = time.perf_counter()
            await shared.encode(texts[:HUGE])
            bulk = HUGE / (time.perf_counter() - start)
            huge = asyncio.ensure_future(shared.encode(texts[:HUGE] * 10 + texts))
            await asyncio.sleep(0.1)
            seconds = [await _timed(partial(shared.encode, [text])) for text in texts[:BESIDE]]
            huge.cancel()
            await asyncio.wait([huge])
            return {"beside_ms": float(np.median(seconds)) * 1e3, "bulk_texts_per_s": bulk}

    return asyncio.run(measure())


def joined(encoder: Encoder, texts: list[str], _: int) -> float:
    """Texts per second, as this library joins calls."""

    async def measure() -> float:
        async with AsyncEncoder(encoder) as shared:
            return await _closed_loop(lambda text: shared.encode([text]), texts)

    return asyncio.run(measure())


def pool(encoder: Encoder, texts: list[str], _: int) -> float:
    """Texts per second with a thread for each call."""

    async def measure() -> float:
        with ThreadPoolExecutor(CALLERS) as threads:
            loop = asyncio.get_running_loop()
            return await _closed_loop(lambda text: loop.run_in_executor(threads, encoder.encode, [text]), texts)

    return asyncio.run(measure())


async def _closed_loop(call: Callable[[str], Awaitable[Any]], texts: list[str]) -> float:
    waiting = iter(texts[:CALLS])

    async def caller() -> None:
        for text in waiting:
            await call(text)

    start = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return CALLS / (time.perf_counter() - start)


async def _timed(call: Callable[[], Awaitable[Any]]) -> float:
    start = time.perf_counter()
    await call()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
