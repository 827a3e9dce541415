"""The best setting of a peer, found on a sample before anything is measured."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from inputs import BENCH

from .process import Process
from .workers.protocol import Load, Setting

# Settings that were found, kept because the search takes as long as the measurement.
SETTINGS = BENCH / "settings.json"

_FIRST_BATCH = 32
# Tried in this order, each row as long as its batches are faster than the ones before.
_OTHER_BATCHES = ((16, 8), (64, 128))

# A setting whose first run reaches less of the best rate is not run again. Preparing kernels alone can halve it.
_HOPELESS = 0.4

# How full batches of one length get depends on how many texts there are; batches cut from a sorted list are alike in
# fewer of them.
_ENOUGH_SORTED = 200


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

    rates: dict[Setting, float] = {}
    given = sample if own_batches else sample[:_ENOUGH_SORTED]

    def rate(setting: Setting) -> float:
        process.load(replace(load, setting=setting))
        found = len(given) / process.encode(given)
        if found > _HOPELESS * max(rates.values(), default=0):
            found = max(found, len(given) / process.encode(given))
        rates[setting] = found
        return found

    start = load.setting
    layouts = {(1, start.threads), (start.threads, 1)} if own_batches else {(1, start.threads)}
    for workers, threads in sorted(layouts):
        for equal in (False, True) if own_batches else (False,):
            rate(replace(start, workers=workers, threads=threads, equal=equal))
    first = max(rates, key=rates.__getitem__)
    for batches in _OTHER_BATCHES:
        before = rates[first]
        for batch in batches:
            if rate(replace(first, batch=batch)) < before:
                break
            before = rates[replace(first, batch=batch)]
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
