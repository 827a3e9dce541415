"""Sentences that come one by one: from one caller, and from several at the same time."""

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from simcse_engine import AsyncEncoder, Encoder

from ..statistics import medians_ms, over, percentiles_ms
from ..turns import alternate, timed_each
from .field import OURS, Field
from .peers import PEERS

COUNTS = (8, 64)
_RANKS = (50, 99, 99.9)
_ALONE = ("torch-fp16", "torch-bf16", "torch-unpadded-fp16", "sentence-transformers-fp16")
_TOGETHER = ("torch-fp16", "torch-unpadded-fp16", "sentence-transformers-fp16")


def one(field: Field) -> dict[str, Any]:
    """One sentence after the other, from text to vector."""
    contestants, work = field.contestants(PEERS, only=_ALONE), field.work
    blocks = [field.texts[i * work.ones :][: work.ones] for i in range(work.rounds)]
    waits = alternate({name: timed_each(each.encode) for name, each in contestants.items()}, blocks)
    return {
        "ms": {name: percentiles_ms(each, _RANKS) for name, each in waits.items()},
        "sentences_a_contestant": sum(map(len, blocks)),
        "p50_peer_over_ours": over(medians_ms(waits), OURS),
        **field.facts(contestants),
    }


def several(field: Field) -> dict[str, Any]:
    """Callers at the same time, each of whom sends one sentence after the other.

    Ours joins them in `AsyncEncoder`; peers are called from a thread for each caller, as web frameworks call them.
    """
    contestants = field.contestants(PEERS, only=_TOGETHER)
    figures: dict[str, Any] = {}
    for count in COUNTS:
        figures[str(count)] = {}
        for name, each in contestants.items():
            run = _tasks if name == OURS else _threads
            target = each.encoder if name == OURS else each.encode
            run(target, field.texts, count, min(0.3, field.work.seconds))  # shapes are recorded, memory allocated
            waits, seconds = run(target, field.texts, count, field.work.seconds)
            rate = len(waits) / seconds
            figures[str(count)][name] = {"sentences_per_second": rate, "ms": percentiles_ms([waits], _RANKS)}
    return {"callers": figures, **field.facts(contestants)}


def _tasks(encoder: Encoder, texts: list[str], count: int, seconds: float) -> tuple[list[float], float]:
    """Every call's seconds, and how long it took in all."""
    return asyncio.run(_call_together(encoder, texts, count, seconds))


async def _call_together(encoder: Encoder, texts: list[str], count: int, seconds: float) -> tuple[list[float], float]:
    waits: list[float] = []
    begun = time.perf_counter()

    async def call(mine: Iterator[str]) -> None:
        while time.perf_counter() - begun < seconds:
            start = time.perf_counter()
            await shared.encode([next(mine)], truncate="silent")
            waits.append(time.perf_counter() - start)

    async with AsyncEncoder(encoder) as shared:
        await asyncio.gather(*(call(itertools.cycle(texts[i::count])) for i in range(count)))
        return waits, time.perf_counter() - begun


def _threads(
    encode: Callable[[list[str]], object], texts: list[str], count: int, seconds: float
) -> tuple[list[float], float]:
    """Every call's seconds, and how long it took in all."""
    waits: list[float] = []
    begun = time.perf_counter()

    def call(mine: Iterator[str]) -> None:
        while time.perf_counter() - begun < seconds:
            start = time.perf_counter()
            encode([next(mine)])
            waits.append(time.perf_counter() - start)

    threads = [threading.Thread(target=call, args=(itertools.cycle(texts[i::count]),)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return waits, time.perf_counter() - begun
