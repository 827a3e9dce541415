"""The best setting of a peer, found on a sample before anything is measured."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .process import Process
from .workers.protocol import Load, Setting

_BATCHES = (8, 16, 32, 64, 128)
_FIRST_BATCH = 32

# A setting whose first run reaches less of the best rate is not run again. Preparing kernels alone can halve it.
_HOPELESS = 0.3


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a search ended with.

    Attributes:
        bulk: fastest for many sentences.
        one: fastest for one at a time.
        bulk_tried: every setting's sentences a second, in the better of two runs.
        one_tried: every setting's median milliseconds, in the better of two runs.
    """

    bulk: Setting
    one: Setting
    bulk_tried: dict[str, float]
    one_tried: dict[str, float]


def first_setting(threads: int) -> Setting:
    """What a user would begin with."""
    return Setting(batch=_FIRST_BATCH, equal=False, workers=1, threads=threads)


def search(process: Process, load: Load, *, own_batches: bool, sample: Sequence[str], singles: Sequence[str]) -> Found:
    """Find the best settings, first how batches run and are made, then their size.

    Args:
        process: has nothing to do meanwhile.
        load: what to load; its setting has all threads in one worker.
        own_batches: see `catalog.Peer`.
        sample: as many texts as a round of the measurement has: how full batches of one length get depends on it.
        singles: texts for one at a time.
    """

    def bulk(settings: Iterable[Setting]) -> dict[Setting, float]:
        rates = {}
        for setting in settings:
            process.load(replace(load, setting=setting))
            rate = len(sample) / process.encode(sample)
            if rate > _HOPELESS * max(rates.values(), default=0):
                rate = max(rate, len(sample) / process.encode(sample))
            rates[setting] = rate
        return rates

    start = load.setting
    layouts = {(1, start.threads), (start.threads, 1)} if own_batches else {(1, start.threads)}
    rates = bulk(
        replace(start, workers=workers, threads=threads, equal=equal)
        for workers, threads in sorted(layouts)
        for equal in ((False, True) if own_batches else (False,))
    )
    best = max(rates, key=rates.__getitem__)
    rates |= bulk(replace(best, batch=batch) for batch in _BATCHES if batch != _FIRST_BATCH)
    waits = {}
    for threads in sorted({1, start.threads}):
        setting = Setting(batch=1, equal=False, workers=1, threads=threads)
        process.load(replace(load, setting=setting))
        waits[setting] = min(float(np.median(process.each(singles))) * 1e3 for _ in range(2))
    return Found(
        bulk=max(rates, key=rates.__getitem__),
        one=min(waits, key=waits.__getitem__),
        bulk_tried={str(setting): rate for setting, rate in rates.items()},
        one_tried={str(setting): wait for setting, wait in waits.items()},
    )


def remembered(file: Path, key: str, find: Callable[[], Found]) -> Found:
    """What was found before under this key, or is found now."""
    known: dict[str, dict[str, Any]] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    if key not in known:
        known[key] = asdict(find())
        file.write_text(json.dumps(known, indent=2), encoding="utf-8")
    found = known[key]
    return Found(**{**found, "bulk": Setting(**found["bulk"]), "one": Setting(**found["one"])})
